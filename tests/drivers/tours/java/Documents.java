import static com.rethinkdb.RethinkDB.r;

import com.rethinkdb.gen.ast.Javascript;
import com.rethinkdb.gen.ast.ReqlFunction2;
import com.rethinkdb.gen.ast.Table;
import com.rethinkdb.net.Result;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;

/** Tables, writes, indexes, selections, joins and aggregates. */
final class Documents {
    static final Table PEOPLE = r.table("people");
    static final Table TOWNS = r.table("towns");

    private final Tour tour;

    Documents(Tour tour) {
        this.tour = tour;
    }

    void go() {
        tables();
        writes();
        conflicts();
        changesToDocuments();
        indexes();
        selections();
        joins();
        aggregates();
    }

    private static Map<?, ?> person(int n) {
        return r.hashMap("id", n).with("name", String.format("p%05d", n)).with("age", n % 90).with("town", "town" + n % 10)
            .with("tags", r.array("t" + n % 3, "u" + n % 5)).with("address", r.hashMap("street", "s" + n % 7).with("number", n));
    }

    /** How many of the inserted documents a predicate holds for. */
    static long people(IntPredicate holds) {
        return IntStream.range(0, Tour.DOCUMENTS).filter(holds).count();
    }

    private void tables() {
        tour.check("server info", tour.connection.server().getId().length(), 36);
        tour.is("arithmetic", r.expr(1).add(2), 3);
        tour.check("a database is created", tour.field(r.dbCreate("tour_java"), "dbs_created"), 1);
        tour.is("and listed", r.dbList().contains("tour_java"), true);
        tour.connection.use("tour_java");
        tour.check("a table is created", tour.field(r.tableCreate("people"), "tables_created"), 1);
        tour.check("a second one", tour.field(r.tableCreate("towns").optArg("primary_key", "name"), "tables_created"), 1);
        tour.is("both are listed", r.tableList(), r.array("people", "towns"));
        tour.is("the table is ready", PEOPLE.wait_().g("ready"), 1);
        tour.is("its configuration", TOWNS.config().g("primary_key"), "name");
        tour.is("its status", PEOPLE.status().g("status").g("all_replicas_ready"), true);
        tour.is("what it is", PEOPLE.info().g("type"), "TABLE");
    }

    private void writes() {
        for (int n = 0; n < 10; n++) {
            TOWNS.insert(r.hashMap("name", "town" + n).with("size", n * 100)).runNoReply(tour.connection);
        }
        tour.connection.noreplyWait();
        tour.is("what was sent without waiting is there", TOWNS.count(), 10);
        long inserted = 0;
        for (int start = 0; start < Tour.DOCUMENTS; start += 500) {
            List<Object> batch = new ArrayList<>();
            IntStream.range(start, start + 500).forEach(n -> batch.add(person(n)));
            inserted += ((Number) tour.field(PEOPLE.insert(batch), "inserted")).longValue();
        }
        tour.check("10,000 documents are inserted", inserted, Tour.DOCUMENTS);
        tour.is("and counted", PEOPLE.count(), Tour.DOCUMENTS);
        try (Result<Object> rows = PEOPLE.run(tour.connection)) {
            tour.check("and each is there", rows.stream().count(), Tour.DOCUMENTS);
        }
        tour.is("one is read back as it was written", PEOPLE.get(4711), person(4711));
    }

    private void conflicts() {
        Map<?, ?> again = r.hashMap("name", "town0").with("new", true);
        tour.check("a duplicate key", tour.field(TOWNS.insert(again), "errors"), 1);
        tour.is("is named", TOWNS.insert(again).g("first_error").match("^Duplicate primary key `name`").ne(null), true);
        tour.is("conflict: update", TOWNS.insert(again).optArg("conflict", "update").optArg("return_changes", true)
            .g("changes").nth(0).g("new_val"), r.hashMap("name", "town0").with("size", 0).with("new", true));
        tour.check("conflict: replace", tour.field(TOWNS.insert(r.hashMap("name", "town0")).optArg("conflict", "replace"), "replaced"), 1);
        tour.check("conflict: a function", tour.field(TOWNS.insert(r.hashMap("name", "town0").with("size", 0))
            .optArg("conflict", (id, before, after) -> before.merge(after).merge(r.hashMap("resolved", true))), "replaced"), 1);
        tour.is("has resolved it", TOWNS.get("town0"), r.hashMap("name", "town0").with("size", 0).with("resolved", true));
    }

    private void changesToDocuments() {
        tour.check("replace without a field", tour.field(TOWNS.get("town0").replace(t -> t.without("resolved")), "replaced"), 1);
        tour.check("soft durability", tour.field(TOWNS.insert(r.hashMap("name", "soft")).optArg("durability", "soft"), "inserted"), 1);
        tour.check("sync", tour.field(TOWNS.sync(), "synced"), 1);
        tour.check("delete", tour.field(TOWNS.get("soft").delete(), "deleted"), 1);
        tour.is("what is deleted is gone", TOWNS.get("soft"), null);
        tour.check("for each", tour.field(r.expr(r.array(1, 2))
            .forEach(n -> PEOPLE.get(n).update(p -> r.hashMap("age", p.g("age").add(1)))), "replaced"), 2);
        tour.check("update with a function",
            tour.field(PEOPLE.getAll(1, 2).update(p -> r.hashMap("age", p.g("age").sub(1))), "replaced"), 2);
        tour.check("literal replaces",
            tour.field(PEOPLE.get(1).update(r.hashMap("address", r.literal(r.hashMap("street", "s")))), "replaced"), 1);
        tour.is("the whole", PEOPLE.get(1).g("address"), r.hashMap("street", "s"));
        tour.check("replace", tour.field(PEOPLE.get(1).replace(person(1)), "replaced"), 1);
        tour.check("a write hook",
            tour.field(TOWNS.setWriteHook((context, before, after) -> after.merge(r.hashMap("hooked", true))), "created"), 1);
        tour.is("is there", TOWNS.getWriteHook().hasFields("query"), true);
        tour.check("a write", tour.field(TOWNS.insert(r.hashMap("name", "hook")), "inserted"), 1);
        tour.is("goes through it", TOWNS.get("hook").g("hooked"), true);
        tour.check("it is removed", tour.field(TOWNS.setWriteHook((Javascript) null), "deleted"), 1);
        tour.check("and the town", tour.field(TOWNS.get("hook").delete(), "deleted"), 1);
    }

    private void indexes() {
        tour.run(PEOPLE.indexCreate("age"));
        tour.run(PEOPLE.indexCreate("place", p -> r.array(p.g("town"), p.g("address").g("street"))));
        tour.run(PEOPLE.indexCreate("tags").optArg("multi", true));
        tour.run(PEOPLE.indexCreate("first", p -> p.g("name").split("").nth(1)));
        tour.run(PEOPLE.indexWait());
        tour.is("indexes are listed", PEOPLE.indexList(), r.array("age", "first", "place", "tags"));
        tour.is("and ready", PEOPLE.indexStatus("tags").nth(0).pluck("multi", "ready"), r.hashMap("multi", true).with("ready", true));
        tour.check("one is renamed", tour.field(PEOPLE.indexRename("first", "digit"), "renamed"), 1);
        tour.check("and dropped", tour.field(PEOPLE.indexDrop("digit"), "dropped"), 1);
        tour.is("get_all by an index", PEOPLE.getAll(33).optArg("index", "age").count(), people(n -> n % 90 == 33));
        tour.is("by a compound index", PEOPLE.getAll(r.array("town3", "s2")).optArg("index", "place").count(),
            people(n -> n % 10 == 3 && n % 7 == 2));
        tour.is("by a multi index", PEOPLE.getAll("t1").optArg("index", "tags").count(), people(n -> n % 3 == 1));
    }

    private void selections() {
        tour.is("get_all with args", PEOPLE.getAll(r.args(r.array(5, 6))).count(), 2);
        tour.is("between", PEOPLE.between(10, 14).optArg("right_bound", "closed").orderBy().optArg("index", "id").g("id"),
            r.array(10, 11, 12, 13, 14));
        tour.is("between without end", PEOPLE.between(88, r.maxval()).optArg("index", "age").count(), people(n -> n % 90 >= 88));
        tour.is("order_by an index, descending", PEOPLE.orderBy().optArg("index", r.desc("age")).limit(3).g("age"), r.array(89, 89, 89));
        tour.is("order_by fields", PEOPLE.getAll(1, 2, 12).orderBy(r.desc("town"), "id").g("id"), r.array(2, 12, 1));
        tour.is("filter with a function", PEOPLE.between(20, 30).optArg("index", "age").filter(p -> p.g("name").match("7$")).count(),
            people(n -> n % 90 >= 20 && n % 90 < 30 && n % 10 == 7));
        tour.is("filter with an object", PEOPLE.filter(r.hashMap("address", r.hashMap("number", 7))).count(), 1);
        tour.is("what lacks a field", PEOPLE.filter(p -> p.g("none").eq(1)).optArg("default", true).limit(5).count(), 5);
        tour.is("pluck, limit", PEOPLE.orderBy("id").pluck("name").limit(2),
            r.array(r.hashMap("name", "p00000"), r.hashMap("name", "p00001")));
        tour.is("skip, nth, slice", PEOPLE.orderBy("id").skip(2).slice(1, 5).nth(0).g("id"), 3);
        tour.is("sample", PEOPLE.sample(7).count(), 7);
    }

    private void joins() {
        tour.is("eq_join", PEOPLE.getAll(1, 2, 3).eqJoin("town", TOWNS).zip().orderBy("id").g("size"), r.array(100, 200, 300));
        ReqlFunction2 same = (p, town) -> p.g("town").eq(town.g("name"));
        tour.is("inner_join", PEOPLE.getAll(1, 2).innerJoin(TOWNS, same).zip().g("size").sum(), 300);
        tour.is("outer_join", PEOPLE.getAll(1, 2).outerJoin(TOWNS, (p, town) -> p.g("town").eq(town.g("name")).and(town.g("size").gt(100)))
            .map(pair -> pair.hasFields("right")).coerceTo("array").contains(false), true);
    }

    private void aggregates() {
        List<Object> groups = new ArrayList<>();
        IntStream.range(0, 10).forEach(n -> groups.add(r.hashMap("group", "town" + n).with("reduction", 1000)));
        tour.is("group and count", PEOPLE.group("town").count().ungroup(), groups);
        // The driver reads a group only when what it was reduced to is an array.
        Map<String, Set<Long>> ids = PEOPLE.getAll(1, 2, 11).group("town").g("id").runGrouping(tour.connection, String.class, Long.class);
        tour.check("group as the driver gives it", ids.equals(Map.of("town1", Set.of(1L, 11L), "town2", Set.of(2L))), true);
        tour.is("group by a function", PEOPLE.group(p -> p.g("age").mod(2)).count().ungroup().g("group"), r.array(0, 1));
        tour.is("group by an index", PEOPLE.group().optArg("index", "age").count().ungroup().count(), 90);
        tour.is("group by many", PEOPLE.group(p -> p.g("tags")).optArg("multi", true).count().ungroup().count(), 8);
        long sum = IntStream.range(0, Tour.DOCUMENTS).map(n -> n % 90).sum();
        tour.is("map and reduce", PEOPLE.map(p -> p.g("age")).reduce((a, b) -> a.add(b)), sum);
        tour.is("sum", PEOPLE.sum("age"), sum);
        tour.is("avg", PEOPLE.avg("age"), (double) sum / Tour.DOCUMENTS);
        tour.is("min", PEOPLE.min("id").g("id"), 0);
        tour.is("max by an index", PEOPLE.max().optArg("index", "age").g("age"), 89);
        tour.is("distinct", PEOPLE.distinct().optArg("index", "age").count(), 90);
        tour.is("contains", PEOPLE.g("town").contains("town3", "town4"), true);
        tour.is("count with a function", PEOPLE.count(p -> p.g("age").lt(2)), people(n -> n % 90 < 2));
        tour.is("fold", r.expr(r.array(1, 2, 3)).fold(0, (total, n) -> total.add(n))
            .optArg("emit", (before, n, after) -> r.array(after)), r.array(1, 3, 6));
    }
}
