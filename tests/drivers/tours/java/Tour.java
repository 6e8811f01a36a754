import static com.rethinkdb.RethinkDB.r;

import com.rethinkdb.ast.ReqlAst;
import com.rethinkdb.gen.exc.ReqlError;
import com.rethinkdb.gen.proto.ResponseType;
import com.rethinkdb.net.Connection;
import com.rethinkdb.net.Result;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** A tour with the official Java driver. Usage: java Tour HOST PORT */
public final class Tour {
    static final int DOCUMENTS = 10_000;

    private final String host;
    private final int port;
    final Connection connection;

    private Tour(String host, int port, String user, String password) {
        this.host = host;
        this.port = port;
        // In its other modes the driver may forget to ask for the next batch, when a row is taken before the driver has noted
        // which batch it came in, and then waits for ever.
        this.connection = r.connection().hostname(host).port(port).user(user, password)
            .defaultFetchMode(Result.FetchMode.AGGRESSIVE).connect();
    }

    public static void main(String[] arguments) {
        Tour tour = new Tour(arguments[0], Integer.parseInt(arguments[1]), "admin", "");
        new Documents(tour).go();
        new Values(tour).go();
        new Places(tour).go();
        new Feeds(tour).go();
        tour.check("the database is dropped", tour.field(r.dbDrop("tour_java"), "tables_dropped"), 2);
        tour.connection.close();
        System.out.println("tour done");
    }

    /** The same tour over a connection of its own. */
    Tour as(String user, String password) {
        Tour tour = new Tour(host, port, user, password);
        tour.connection.use("tour_java");
        return tour;
    }

    Object run(ReqlAst query) {
        try (Result<Object> result = query.run(connection)) {
            return result.responseType() == ResponseType.SUCCESS_ATOM ? result.single() : result.toList();
        }
    }

    /** Runs a query whose answer is an object and takes one of its fields. */
    Object field(ReqlAst query, String name) {
        return ((Map<?, ?>) run(query)).get(name);
    }

    /** Runs a query and checks its answer. */
    void is(String name, ReqlAst query, Object expected) {
        check(name, run(query), expected);
    }

    void check(String name, Object found, Object expected) {
        Object one = plain(found);
        Object other = plain(expected);
        if (one == null ? other != null : !one.equals(other)) {
            throw new AssertionError(name + ": found " + one + ", expected " + other);
        }
        System.out.println("ok " + name);
    }

    /** Runs a query and checks that it fails with exactly this kind of error, whose message contains a text. */
    void raises(String name, Class<? extends ReqlError> kind, String text, ReqlAst query) {
        raises(name, kind, text, () -> run(query));
    }

    void raises(String name, Class<? extends ReqlError> kind, String text, Runnable action) {
        try {
            action.run();
        } catch (ReqlError raised) {
            if (raised.getClass() != kind || !String.valueOf(raised.getMessage()).contains(text)) {
                throw new AssertionError(name + ": " + raised, raised);
            }
            System.out.println("ok " + name);
            return;
        }
        throw new AssertionError(name + ": nothing was raised");
    }

    /** One form for what is the same in ReQL: numbers of any type, bytes, moments, and objects in any order. */
    private static Object plain(Object value) {
        if (value instanceof Number) {
            return ((Number) value).doubleValue();
        }
        if (value instanceof byte[]) {
            List<Object> bytes = new ArrayList<>();
            for (byte one : (byte[]) value) {
                bytes.add((double) one);
            }
            return bytes;
        }
        if (value instanceof OffsetDateTime) {
            return ((OffsetDateTime) value).toInstant();
        }
        if (value instanceof Iterable) {
            List<Object> items = new ArrayList<>();
            ((Iterable<?>) value).forEach(item -> items.add(plain(item)));
            return items;
        }
        if (value instanceof Map) {
            Map<String, Object> fields = new TreeMap<>();
            ((Map<?, ?>) value).forEach((key, field) -> fields.put(String.valueOf(key), plain(field)));
            return fields;
        }
        return value;
    }
}
