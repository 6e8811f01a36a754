import static com.rethinkdb.RethinkDB.r;

import com.rethinkdb.gen.ast.ReqlExpr;
import com.rethinkdb.gen.ast.Slice;
import com.rethinkdb.gen.exc.ReqlNonExistenceError;
import com.rethinkdb.gen.exc.ReqlOpFailedError;
import com.rethinkdb.gen.exc.ReqlQueryLogicError;
import com.rethinkdb.gen.exc.ReqlResourceLimitError;
import com.rethinkdb.gen.exc.ReqlServerCompileError;
import com.rethinkdb.gen.exc.ReqlUserError;
import java.time.OffsetDateTime;

/** Sequences, objects, strings, numbers, bytes, times, scripts, and the kinds of errors. */
final class Values {
    private final Tour tour;

    Values(Tour tour) {
        this.tour = tour;
    }

    void go() {
        sequences();
        objects();
        strings();
        numbers();
        bytes();
        times();
        scripts();
        errors();
    }

    private void sequences() {
        ReqlExpr three = r.expr(r.array(1, 2, 3));
        tour.is("map over two", r.map(three, r.array(4, 5), (a, b) -> a.mul(b)), r.array(4, 10));
        tour.is("concat_map", three.concatMap(n -> r.array(n, n)).count(), 6);
        tour.is("with_fields", r.expr(r.array(r.hashMap("a", 1).with("b", 2), r.hashMap("b", 3))).withFields("a"),
            r.array(r.hashMap("a", 1)));
        tour.is("union", three.union(r.array(4)).optArg("interleave", false), r.array(1, 2, 3, 4));
        tour.is("offsets_of", three.offsetsOf(3), r.array(2));
        tour.is("is_empty", r.expr(r.array()).isEmpty(), true);
        tour.is("append, prepend, insert, splice", three.append(4).prepend(0).insertAt(1, 9).spliceAt(0, r.array(8)),
            r.array(8, 0, 9, 1, 2, 3, 4));
        tour.is("change, delete", three.changeAt(0, 7).deleteAt(1), r.array(7, 3));
        tour.is("difference", three.difference(r.array(2)), r.array(1, 3));
        tour.is("sets", three.setInsert(3).setUnion(r.array(5)).setIntersection(r.array(1, 5, 6)).setDifference(r.array(1)), r.array(5));
        tour.is("range", r.range(2, 5), r.array(2, 3, 4));
    }

    private void objects() {
        tour.is("merge", r.expr(r.hashMap("a", r.hashMap("b", 1))).merge(r.hashMap("a", r.hashMap("c", 2))),
            r.hashMap("a", r.hashMap("b", 1).with("c", 2)));
        tour.is("without", r.expr(r.hashMap("a", 1).with("b", 2)).without("a"), r.hashMap("b", 2));
        tour.is("keys, values", r.expr(r.hashMap("a", 1)).keys().add(r.expr(r.hashMap("a", 1)).values()), r.array("a", 1));
        tour.is("object", r.object("a", 1, "b", null), r.hashMap("a", 1).with("b", null));
        tour.is("has_fields", r.expr(r.hashMap("a", 1).with("b", null)).hasFields("b"), false);
        tour.is("default", r.expr(r.hashMap()).g("a").default_("none"), "none");
    }

    private void strings() {
        tour.is("match", r.expr("id:0,name:mlucy").match("name:(\\w+)").g("groups").nth(0).g("str"), "mlucy");
        tour.is("split", r.expr("a,b,c").split(",", 1), r.array("a", "b,c"));
        tour.is("upcase, downcase", r.expr("aÉ").upcase().add(r.expr("B").downcase()), "AÉb");
        tour.is("coerce_to", r.expr("17").coerceTo("number").add(1), 18);
        tour.is("type_of", r.expr(r.array(1, "a", null)).map(v -> v.typeOf()), r.array("NUMBER", "STRING", "NULL"));
        tour.is("json", r.json("{\"a\":[1]}").toJson(), "{\"a\":[1]}");
        tour.is("uuid of a name", r.uuid("photon"), tour.run(r.uuid("photon")));
        tour.is("uuid", r.uuid().match("^[0-9a-f-]{36}$").ne(null), true);
    }

    private void numbers() {
        tour.is("numbers", r.expr(7).sub(2).mul(3).div(2).floor(), 7);
        tour.is("mod, round, ceil", r.expr(r.array(r.expr(7).mod(4), r.round(2.5), r.ceil(1.2))), r.array(3, 3, 2));
        tour.is("bits", r.expr(r.array(r.expr(6).bitAnd(3), r.expr(6).bitOr(1), r.expr(6).bitXor(3), r.expr(1).bitSal(4),
            r.expr(16).bitSar(2), r.expr(0).bitNot())), r.array(2, 7, 5, 16, 4, -1));
        tour.is("comparisons", r.and(r.expr(1).lt(2, 3), r.expr(3).ge(3), r.not(r.expr(1).eq(2)), r.or(false, r.expr("a").ne("b"))), true);
        tour.is("branch", r.branch(r.expr(1).gt(2), "first", true, "second", "third"), "second");
        tour.is("do", r.do_(1, 2, (a, b) -> a.sub(b)), -1);
        tour.is("random", r.random(5, 6), 5);
    }

    private void bytes() {
        byte[] bytes = {0, -1, 16};
        tour.is("bytes", r.binary(bytes).slice(1, 3), new byte[] {-1, 16});
        tour.check("are stored", tour.field(Documents.TOWNS.insert(r.hashMap("name", "raw").with("raw", r.binary(bytes))), "inserted"), 1);
        tour.is("and come back", Documents.TOWNS.get("raw").g("raw"), bytes);
        tour.is("counted", Documents.TOWNS.get("raw").g("raw").count(), 3);
        tour.run(Documents.TOWNS.get("raw").delete());
    }

    private void times() {
        OffsetDateTime moment = OffsetDateTime.parse("2020-01-02T03:04:05.678+01:00");
        tour.check("a time is stored", tour.field(Documents.TOWNS.insert(r.hashMap("name", "timed").with("at", moment)), "inserted"), 1);
        ReqlExpr at = Documents.TOWNS.get("timed").g("at");
        tour.check("and comes back, with its zone", tour.run(at).equals(moment), true);
        tour.is("in its zone", at.timezone(), "+01:00");
        tour.is("as text", at.toIso8601(), "2020-01-02T03:04:05.678+01:00");
        tour.is("in another zone", at.inTimezone("Z").hours(), 2);
        tour.is("its parts", r.expr(r.array(at.year(), at.month(), at.day(), at.hours(), at.minutes(), at.seconds(), at.dayOfWeek(),
            at.dayOfYear())), r.array(2020, 1, 2, 3, 4, 5.678, 4, 2));
        tour.is("the day and the time of day", at.date().toEpochTime().add(at.timeOfDay()), 1577930645.678);
        tour.is("during", at.during(r.time(2020, 1, 1, "Z"), r.epochTime(1600000000)), true);
        tour.is("a difference", r.iso8601("2020-01-02T03:04:06.678").optArg("default_timezone", "+01:00").sub(at), 1);
        tour.is("a month and a weekday", r.expr(r.array(r.january(), r.thursday())), r.array(1, 4));
        tour.is("now", r.now().sub(OffsetDateTime.now()).add(60).ge(0), true);
        tour.run(Documents.TOWNS.get("timed").delete());
    }

    private void scripts() {
        tour.is("a script", r.js("1 + 1; 2 + 2"), 4);
        tour.is("a function in JavaScript", r.expr(r.array(1, 2)).map(r.js("(function(x) { return {n: x * 2}; })")).g("n"), r.array(2, 4));
        tour.is("a filter in JavaScript", Documents.PEOPLE.filter(r.js("(function(p) { return p.age > 87; })")).count(),
            Documents.people(n -> n % 90 > 87));
        tour.raises("a script without end", ReqlQueryLogicError.class, "timed out after 0.200 seconds",
            r.js("for (;;);").optArg("timeout", 0.2));
    }

    private void errors() {
        tour.raises("a missing table", ReqlOpFailedError.class, "Table `tour_java.nothing` does not exist", r.table("nothing"));
        tour.raises("a missing database", ReqlOpFailedError.class, "Database `nothing` does not exist", r.db("nothing").tableList());
        tour.raises("a missing field", ReqlNonExistenceError.class, "No attribute `x` in object", r.expr(r.hashMap("a", 1)).g("x"));
        tour.raises("a wrong type", ReqlQueryLogicError.class, "Expected type NUMBER but found STRING", r.expr(1).add("a"));
        tour.raises("an array too long", ReqlResourceLimitError.class, "Array over size limit", r.range(200_000).coerceTo("array"));
        tour.raises("an error of the user's", ReqlUserError.class, "mine", r.error("mine"));
        tour.raises("a wrong number of arguments", ReqlServerCompileError.class, "Expected", new Slice(r.expr(r.array())));
        tour.raises("the same, found out late", ReqlQueryLogicError.class, "Expected 2 or more arguments but found 1",
            r.expr(1).eq(r.args(r.array())));
        tour.raises("in the middle of a stream", ReqlNonExistenceError.class, "No attribute `absent`",
            Documents.PEOPLE.map(p -> p.g("absent")));
    }
}
