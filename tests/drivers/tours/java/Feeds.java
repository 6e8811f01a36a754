import static com.rethinkdb.RethinkDB.r;

import com.rethinkdb.gen.ast.Table;
import com.rethinkdb.gen.exc.ReqlAuthError;
import com.rethinkdb.gen.exc.ReqlNonExistenceError;
import com.rethinkdb.gen.exc.ReqlPermissionError;
import com.rethinkdb.net.Result;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** What comes from elsewhere: pages of other servers, users with fewer rights, and the changes that others make. */
final class Feeds {
    private final Tour tour;

    Feeds(Tour tour) {
        this.tour = tour;
    }

    void go() {
        fetches();
        users();
        changes();
    }

    /** Answers with the page asked for; the first two name the next in a link, and there is no ninth. */
    private static void page(HttpExchange exchange) throws IOException {
        byte[] answer = exchange.getRequestBody().readAllBytes();
        int status = 200;
        if (exchange.getRequestMethod().equals("GET")) {
            String query = exchange.getRequestURI().getQuery();
            int page = query == null ? 1 : Integer.parseInt(query.substring("page=".length()));
            String agent = exchange.getRequestHeaders().getFirst("User-Agent").split("/")[0];
            answer = String.format("[{\"id\": %d, \"agent\": \"%s\"}]", page, agent).getBytes(StandardCharsets.UTF_8);
            exchange.getResponseHeaders().set("Content-Type", "application/json");
            if (page < 3) {
                String host = exchange.getRequestHeaders().getFirst("Host");
                exchange.getResponseHeaders().set("Link", String.format("<http://%s/?page=%d>; rel=\"next\"", host, page + 1));
            }
            status = page < 9 ? 200 : 404;
        }
        exchange.sendResponseHeaders(status, answer.length);
        exchange.getResponseBody().write(answer);
        exchange.close();
    }

    private void fetches() {
        HttpServer server;
        try {
            server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        server.createContext("/", Feeds::page);
        server.start();
        String url = "http://127.0.0.1:" + server.getAddress().getPort() + "/";
        tour.is("a value from another server", r.http(url), r.array(r.hashMap("id", 1).with("agent", "PhotonDB")));
        tour.is("parameters", r.http(url).optArg("params", r.hashMap("page", 2)).nth(0).g("id"), 2);
        tour.is("a form", r.http(url).optArg("method", "POST").optArg("data", r.hashMap("a", 1).with("b", "x y"))
            .optArg("result_format", "text"), "a=1&b=x%20y");
        tour.is("pages as a stream", r.http(url).optArg("page", "link-next").optArg("page_limit", -1).g("id"), r.array(1, 2, 3));
        tour.raises("a page that is not there", ReqlNonExistenceError.class, "status code 404",
            r.http(url).optArg("params", r.hashMap("page", 9)));
        tour.is("is caught by default", r.http(url).optArg("params", r.hashMap("page", 9)).default_("caught"), "caught");
        server.stop(0);
    }

    private void users() {
        Table users = r.db("rethinkdb").table("users");
        tour.check("a user", tour.field(users.insert(r.hashMap("id", "eve").with("password", "secret")), "inserted"), 1);
        tour.raises("a wrong password", ReqlAuthError.class, "Wrong password", () -> tour.as("eve", "wrong"));
        Tour eve = tour.as("eve", "secret");
        eve.raises("who may not read", ReqlPermissionError.class, "does not have the required `read` permission", Documents.PEOPLE.get(1));
        tour.check("a grant", tour.field(r.db("tour_java").grant("eve", r.hashMap("read", true)), "granted"), 1);
        tour.check("on a table", tour.field(Documents.PEOPLE.grant("eve", r.hashMap("write", false)), "granted"), 1);
        eve.is("who may", Documents.PEOPLE.get(1).g("id"), 1);
        eve.raises("but not write", ReqlPermissionError.class, "does not have the required `write` permission",
            Documents.PEOPLE.get(1).delete());
        eve.connection.close();
        tour.check("the user is deleted", tour.field(users.get("eve").delete(), "deleted"), 1);
    }

    private void changes() {
        Tour listener = tour.as("admin", "");
        Result<Object> feed = Documents.PEOPLE.filter(p -> p.g("age").gt(1000)).changes().run(listener.connection);
        tour.check("a feed", feed.isFeed(), true);
        Result<Object> point = Documents.PEOPLE.get("watched").changes().optArg("include_initial", true).run(listener.connection);
        tour.check("a point feed begins with what is there", point.next(), r.hashMap("new_val", null));
        Result<Object> top = Documents.PEOPLE.orderBy().optArg("index", r.desc("age")).limit(1).changes().optArg("include_initial", true)
            .optArg("include_types", true).run(listener.connection);
        tour.check("a limit's feed begins with the first", ((Map<?, ?>) top.next()).get("type"), "initial");
        CompletableFuture<Void> written = CompletableFuture.runAsync(() -> {
            Tour writer = tour.as("admin", "");
            for (int n = 0; n < 50; n++) {
                writer.run(Documents.PEOPLE.insert(r.hashMap("id", "w" + n).with("age", 1001 + n)));
            }
            writer.run(Documents.PEOPLE.insert(r.hashMap("id", "watched").with("age", 5)));
            writer.connection.close();
        });
        List<Long> ages = new ArrayList<>();
        while (ages.size() < 50) {
            Map<?, ?> change = (Map<?, ?>) ((Map<?, ?>) feed.next()).get("new_val");
            ages.add(((Number) change.get("age")).longValue());
        }
        written.join();
        tour.check("a feed misses nothing and repeats nothing", ages.stream().sorted().collect(Collectors.toList()),
            IntStream.range(1001, 1051).boxed().collect(Collectors.toList()));
        tour.check("a point feed goes on", ((Map<?, ?>) point.next()).get("new_val"), r.hashMap("id", "watched").with("age", 5));
        tour.check("a limit's feed goes on", ((Map<?, ?>) top.next()).get("type"), "change");
        feed.close();
        point.close();
        top.close();
        listener.connection.close();
    }
}
