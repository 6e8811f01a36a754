"""A tour with the official Python driver, synchronous and asynchronous. Usage: tour.py HOST PORT [AUTHORITY]"""

import asyncio
import datetime
import http.server
import sys
import threading

from rethinkdb import RethinkDB
from rethinkdb import errors

HOST, PORT = sys.argv[1], int(sys.argv[2])
# With a file of authorities every connection is TLS.
TLS = {"ssl": {"ca_certs": sys.argv[3]}} if len(sys.argv) > 3 else {}
DOCUMENTS = 10_000


def check(name, found, expected):
    if found != expected:
        raise AssertionError(f"{name}: found {found!r}, expected {expected!r}")
    print(f"ok {name}")


def raises(name, error, text, query, connection):
    try:
        query.run(connection)
    except error as raised:
        if type(raised) is not error or text not in str(raised):
            raise AssertionError(f"{name}: {type(raised).__name__}: {raised}")
        print(f"ok {name}")
        return
    raise AssertionError(f"{name}: nothing was raised")


def synchronous():
    r = RethinkDB()
    c = r.connect(HOST, PORT, **TLS)
    check("server info", set(c.server()), {"id", "name", "proxy"})
    check("arithmetic", (r.expr(1) + 2).run(c), 3)
    check("a database is created", r.db_create("tour").run(c)["dbs_created"], 1)
    check("and listed", "tour" in r.db_list().run(c), True)
    c.use("tour")
    check("a table is created", r.table_create("people").run(c)["tables_created"], 1)
    check("a second one", r.table_create("towns", primary_key="name").run(c)["tables_created"], 1)
    check("both are listed", sorted(r.table_list().run(c)), ["people", "towns"])

    towns = [{"name": f"town{n}", "size": n * 100} for n in range(10)]
    check("towns are inserted", r.table("towns").insert(towns).run(c)["inserted"], 10)
    people = [
        {"id": n, "name": f"p{n:05}", "age": n % 90, "town": f"town{n % 10}", "tags": [f"t{n % 3}", f"u{n % 5}"],
         "address": {"street": f"s{n % 7}", "number": n}}
        for n in range(DOCUMENTS)
    ]
    inserted = 0
    for start in range(0, DOCUMENTS, 500):
        inserted += r.table("people").insert(people[start:start + 500]).run(c)["inserted"]
    check("10,000 documents are inserted", inserted, DOCUMENTS)
    check("and counted", r.table("people").count().run(c), DOCUMENTS)
    check("and each is there", sum(1 for _ in r.table("people").run(c)), DOCUMENTS)
    check("one is read back as it was written", r.table("people").get(4711).run(c), people[4711])

    r.table("people").index_create("age").run(c)
    r.table("people").index_create("place", [r.row["town"], r.row["address"]["street"]]).run(c)
    r.table("people").index_create("tags", multi=True).run(c)
    r.table("people").index_wait().run(c)
    check("indexes are listed", sorted(r.table("people").index_list().run(c)), ["age", "place", "tags"])
    expected = sum(1 for p in people if p["age"] == 33)
    check("get_all by an index", r.table("people").get_all(33, index="age").count().run(c), expected)
    expected = sum(1 for p in people if p["town"] == "town3" and p["address"]["street"] == "s2")
    check("get_all by a compound index", r.table("people").get_all(["town3", "s2"], index="place").count().run(c), expected)
    by_age = r.table("people").filter(r.row["age"] == 33)
    plan = by_age.run(c, explain=True, use_index="auto")
    check("a plan by an index", (plan["executed"], plan["plan"][0]["access"]["path"], plan["plan"][0]["access"]["index"]),
          (False, "index point", "age"))
    check("and without", by_age.run(c, explain=True)["plan"][0]["access"]["path"], "full scan")
    analyzed = by_age.run(c, explain="analyze", use_index="auto")["actual"]
    expected = sum(1 for p in people if p["age"] == 33)
    check("an analyzed plan", (analyzed["rows_examined"], analyzed["rows_returned"]), (expected, expected))
    found = sorted(p["id"] for p in by_age.run(c, use_index="auto"))
    check("a filter by an index", found, sorted(p["id"] for p in by_age.run(c)))
    check("a plan deletes nothing", (r.table("people").delete().run(c, explain=True)["kind"], r.table("people").count().run(c)),
          ("write", DOCUMENTS))
    expected = sum(1 for p in people if "t1" in p["tags"])
    check("get_all by a multi index", r.table("people").get_all("t1", index="tags").count().run(c), expected)
    found = [p["id"] for p in r.table("people").between(10, 20).order_by(index="id").run(c)]
    check("between", found, list(range(10, 20)))
    oldest = r.table("people").order_by(index=r.desc("age")).limit(3)["age"].run(c)
    check("order_by an index, descending", list(oldest), [89, 89, 89])
    expected = sum(1 for p in people if 20 <= p["age"] < 30 and p["name"].endswith("7"))
    query = r.table("people").between(20, 30, index="age").filter(lambda p: p["name"].match("7$"))
    check("filter with a function", query.count().run(c), expected)
    check("pluck, limit", r.table("people").order_by("id").pluck("name").limit(2).run(c), [{"name": "p00000"}, {"name": "p00001"}])

    joined = r.table("people").get_all(1, 2, 3).eq_join("town", r.table("towns")).zip().order_by("id")["size"].run(c)
    check("eq_join", joined, [100, 200, 300])
    grouped = r.table("people").group("town").count().run(c)
    check("group and count", grouped, {f"town{n}": 1000 for n in range(10)})
    grouped = r.table("people").group(r.row["age"] % 2).avg("age").run(c)
    check("group and average", {k: round(v, 3) for k, v in grouped.items()},
          {p: round(sum(x["age"] for x in people if x["age"] % 2 == p) / sum(1 for x in people if x["age"] % 2 == p), 3) for p in (0, 1)})
    total = r.table("people").map(lambda p: p["age"]).reduce(lambda a, b: a + b).run(c)
    check("map and reduce", total, sum(p["age"] for p in people))

    changed = r.table("people").get(1).update({"age": 99}, return_changes=True).run(c)
    check("update gives the change", changed["changes"][0]["new_val"]["age"], 99)
    check("update with a function", r.table("people").get_all(1, 2).update({"age": r.row["age"] + 1}).run(c)["replaced"], 2)
    check("replace", r.table("people").get(2).replace({"id": 2, "name": "new"}).run(c)["replaced"], 1)
    check("delete", r.table("people").get(3).delete().run(c)["deleted"], 1)
    check("what is deleted is gone", r.table("people").get(3).run(c), None)
    now = datetime.datetime(2020, 1, 2, 3, 4, 5, tzinfo=r.make_timezone("+01:00"))
    r.table("towns").insert({"name": "timed", "at": now, "raw": b"\x00\xff"}).run(c)
    timed = r.table("towns").get("timed").run(c)
    check("a time comes back", timed["at"], now)
    check("bytes come back", bytes(timed["raw"]), b"\x00\xff")

    raises("a missing table", errors.ReqlOpFailedError, "Table `tour.nothing` does not exist", r.table("nothing"), c)
    raises("a missing field", errors.ReqlNonExistenceError, "No attribute `x` in object", r.expr({"a": 1})["x"], c)
    raises("a wrong type", errors.ReqlQueryLogicError, "Expected type NUMBER but found STRING", r.expr(1) + "a", c)
    raises("an error of the user's", errors.ReqlUserError, "mine", r.error("mine"), c)
    raises("a wrong number of arguments", errors.ReqlServerCompileError, "Expected", r.expr([]).slice(), c)
    refused = r.table("people").insert({"id": 1}).run(c)
    check("a duplicate key", (refused["errors"], refused["first_error"].startswith("Duplicate primary key")), (1, True))
    geometry(r, c)
    changes(r, c)
    scripts(r, c)
    fetches(r, c)
    c.noreply_wait()
    c.close()


def scripts(r, c):
    check("a script", r.js("1 + 1; 2 + 2").run(c), 4)
    check("a function in JavaScript", r.expr([1, 2, 3]).map(r.js("(function(x) { return {n: x * 2}; })"))["n"].run(c), [2, 4, 6])
    old = r.table("people").filter(r.js("(function(p) { return p.age > 87; })")).count()
    check("a filter in JavaScript", old.run(c), r.table("people").filter(r.row["age"] > 87).count().run(c))
    moment = datetime.datetime(2020, 1, 2, 3, 4, 5, tzinfo=r.make_timezone("+00:00"))
    check("a time becomes a date and comes back", r.expr(moment).do(r.js("(function(d) { return new Date(+d + 1000); })")).run(c),
          moment + datetime.timedelta(seconds=1))
    raises("a script that is wrong", errors.ReqlQueryLogicError, "SyntaxError: function name expected", r.js("function() {}"), c)
    raises("a script without end", errors.ReqlQueryLogicError, "timed out after 0.300 seconds", r.js("for (;;);", timeout=0.3), c)
    raises("a script in an index", errors.ReqlQueryLogicError, "Could not prove function deterministic",
           r.table("people").index_create("script", r.js("(function(p) { return p.age; })")), c)


class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        page = int((self.path.split("page=") + ["1"])[1])
        self.send_response(200 if page < 9 else 404)
        self.send_header("Content-Type", "application/json")
        if page < 3:
            self.send_header("Link", f'<http://127.0.0.1:{self.server.server_port}/?page={page + 1}>; rel="next"')
        self.end_headers()
        self.wfile.write(b'[{"id": %d, "agent": "%s"}]' % (page, self.headers["User-Agent"].split("/")[0].encode()))

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def fetches(r, c):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/"
    check("a value from another server", r.http(url).run(c), [{"id": 1, "agent": "PhotonDB"}])
    check("parameters", r.http(url, params={"page": 2})[0]["id"].run(c), 2)
    check("a form", r.http(url, method="POST", data={"a": 1, "b": "x y"}).run(c), "a=1&b=x%20y")
    check("pages as a stream", [p["id"] for p in r.http(url, page="link-next", page_limit=-1).run(c)], [1, 2, 3])
    paged = r.http(url, page=lambda seen: r.branch(seen["body"][0]["id"] < 2, {"params": {"page": 2}}, None), page_limit=5)
    check("pages by a function", [p["id"] for p in paged.run(c)], [1, 2])
    check("what is fetched is inserted", r.table("towns").insert(r.http(url)[0].merge({"name": "fetched"})).run(c)["inserted"], 1)
    r.table("towns").get("fetched").delete().run(c)
    missing = r.http(url, params={"page": 9})
    raises("a page that is not there", errors.ReqlNonExistenceError, "status code 404", missing, c)
    check("is caught by default", missing.default("caught").run(c), "caught")
    raises("a private address", errors.ReqlNonExistenceError, "the address is not allowed",
           r.http(url.replace("127.0.0.1", "127.0.0.2")), c)
    r.db("rethinkdb").table("users").insert({"id": "bob", "password": "secret"}).run(c)
    bob = r.connect(HOST, PORT, user="bob", password="secret", **TLS)
    raises("who may not connect", errors.ReqlPermissionError, "does not have the required `connect` permission", r.http(url), bob)
    r.grant("bob", {"connect": True}).run(c)
    bob = r.connect(HOST, PORT, user="bob", password="secret", **TLS)
    check("who may", r.http(url)[0]["id"].run(bob), 1)
    bob.close()
    r.db("rethinkdb").table("users").get("bob").delete().run(c)
    server.shutdown()
def geometry(r, c):
    check("a point", r.point(-122.4, 37.8).run(c)["coordinates"], [-122.4, 37.8])
    check("its type", r.point(1, 2).type_of().run(c), "PTYPE<GEOMETRY>")
    check("GeoJSON there and back", r.geojson({"type": "Point", "coordinates": [1, 2]}).to_geojson().run(c),
          {"type": "Point", "coordinates": [1, 2]})
    check("a line is filled", r.line([0, 0], [0, 1], [1, 0]).fill().run(c)["coordinates"], [[[0, 0], [0, 1], [1, 0], [0, 0]]])
    check("a circle has corners", len(r.circle([0, 0], 10, num_vertices=8, unit="km").run(c)["coordinates"][0]), 9)
    far = r.distance(r.point(-122, 37), r.point(-123, 37), unit="km").run(c)
    check("a distance", round(far, 6), 89.011263)
    square = r.polygon([0, 0], [10, 0], [10, 10], [0, 10])
    frame = square.polygon_sub(r.polygon([2, 2], [8, 2], [8, 8], [2, 8]))
    check("a polygon includes a point", square.includes(r.point(5, 5)).run(c), True)
    check("but not in its hole", frame.intersects(r.point(5, 5)).run(c), False)
    check("a filter by geometry", r.expr([r.point(1, 1), r.point(20, 1)]).intersects(square).count().run(c), 1)

    r.table_create("places").run(c)
    r.table("places").index_create("at", geo=True).run(c)
    r.table("places").index_create("stops", geo=True, multi=True).run(c)
    grid = [{"id": f"{x},{y}", "at": r.point(x, y), "stops": [r.point(x, y), r.point(x, y + 0.5)]}
            for x in range(-20, 20) for y in range(-20, 20)]
    check("places are inserted", r.table("places").insert(grid).run(c)["inserted"], 1600)
    r.table("places").index_wait().run(c)
    check("the index is geospatial", r.table("places").index_status("at").run(c)[0]["geo"], True)
    check("what is in a square", r.table("places").get_intersecting(square, index="at").count().run(c),
          sum(1 for _ in r.table("places").filter(lambda p: square.intersects(p["at"])).run(c)))
    check("each stop counts", r.table("places").get_intersecting(r.circle([0, 0], 60, unit="km"), index="stops").count().run(c), 3)
    nearest = r.table("places").get_nearest(r.point(0.1, 0.1), index="at", max_results=2, max_dist=200, unit="km").run(c)
    check("the nearest", [n["doc"]["id"] for n in nearest], ["0,0", "0,1"])
    check("and how far", round(nearest[0]["dist"], 3), 15.69)
    raises("a wrong latitude", errors.ReqlQueryLogicError, "Latitude must be between -90 and 90.  Got 91 in:", r.point(0, 91), c)
    raises("a ring that crosses itself", errors.ReqlQueryLogicError, "Is it self-intersecting?",
           r.polygon([0, 0], [1, 1], [1, 0], [0, 1]), c)
    raises("an order by geometry", errors.ReqlQueryLogicError, "is a geospatial index", r.table("places").order_by(index="at"), c)
    r.table_drop("places").run(c)


def changes(r, c):
    feed_connection = r.connect(HOST, PORT, db="tour", **TLS)
    feed = r.table("people").filter(r.row["age"] > 1000).changes().run(feed_connection)
    point = r.table("people").get("watched").changes(include_initial=True).run(feed_connection)
    check("a point feed begins with what is there", next(point), {"new_val": None})

    def write():
        writer = r.connect(HOST, PORT, db="tour", **TLS)
        for n in range(50):
            r.table("people").insert({"id": f"w{n}", "age": 1001 + n}).run(writer)
        r.table("people").insert({"id": "watched", "age": 5}).run(writer)
        writer.close()

    thread = threading.Thread(target=write)
    thread.start()
    seen = sorted(next(feed)["new_val"]["age"] for _ in range(50))
    thread.join()
    check("a feed misses nothing and repeats nothing", seen, [1001 + n for n in range(50)])
    check("a point feed", next(point)["new_val"], {"id": "watched", "age": 5})
    feed.close()
    point.close()
    old = r.table("people").filter(lambda person: person["age"] > 2000)
    feed = old.changes(resume_token=True).run(feed_connection)
    r.table("people").insert({"id": "old", "age": 2001}).run(c)
    token = next(feed)["resume_token"]
    feed.close()
    r.table("people").get("old").update({"age": 2002}).run(c)
    old = r.table("people").filter(lambda person: person["age"] > 2000)
    feed = old.changes(resume_token=token).run(feed_connection)
    check("a feed goes on", next(feed)["new_val"], {"id": "old", "age": 2002})
    feed.close()
    r.table("people").get("old").delete().run(c)
    feed_connection.close()


async def asynchronous():
    r = RethinkDB()
    r.set_loop_type("asyncio")
    c = await r.connect(HOST, PORT, db="tour", **TLS)
    check("asynchronous count", await r.table("towns").count().run(c), 11)
    cursor = await r.table("people").filter({"town": "town5"}).run(c)
    count = 0
    while await cursor.fetch_next():
        await cursor.next()
        count += 1
    check("asynchronous cursor", count, 1000)
    answers = await asyncio.gather(*[r.table("people").get(n).run(c) for n in range(100, 150)])
    check("parallel queries on one connection", [a["id"] for a in answers], list(range(100, 150)))
    feed = await r.table("towns").changes().run(c)
    await r.table("towns").insert({"name": "late"}).run(c)
    await feed.fetch_next()
    check("asynchronous feed", (await feed.next())["new_val"], {"name": "late"})
    await feed.close()
    check("the database is dropped", (await r.db_drop("tour").run(c))["tables_dropped"], 2)
    await c.close()


synchronous()
asyncio.run(asynchronous())
print("tour done")
