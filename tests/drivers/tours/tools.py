"""What the tools of the official Python driver dump of one server they restore at another.

    tools.py HOST PORT OTHER_PORT DIRECTORY
"""

import datetime
import os
import subprocess
import sys

from rethinkdb import r

host, port, other_port, directory = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
archive = os.path.join(directory, "dump.tar.gz")
bin_directory = os.path.dirname(sys.executable)


def tool(name, *arguments):
    command = [os.path.join(bin_directory, name), *arguments]
    ended = subprocess.run(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert ended.returncode == 0, f"{name} {arguments} ended with {ended.returncode}:\n{ended.stdout}"
    return ended.stdout


def contents(connection):
    """Everything that a dump is to bring along."""
    table = r.db("shop").table("orders")
    return {
        "documents": table.order_by("id").coerce_to("array").run(connection, time_format="raw", binary_format="raw"),
        "other": r.db("shop").table("people").order_by("name").coerce_to("array").run(connection),
        "key": r.db("shop").table("people").info()["primary_key"].run(connection),
        "indexes": table.index_status().order_by("index").pluck("index", "geo", "multi", "query").run(connection),
        "by index": table.get_all(["b", 3], index="compound").count().run(connection),
        "by place": table.get_intersecting(r.circle([5, 5], 1000), index="place")["id"].coerce_to("array").run(connection),
        "hook": table.get_write_hook()["query"].run(connection),
    }


here, there = r.connect(host=host, port=port), r.connect(host=host, port=other_port)
r.db_create("shop").run(here)
r.db("shop").table_create("orders").run(here)
r.db("shop").table_create("people", primary_key="name").run(here)
orders = r.db("shop").table("orders")
now = datetime.datetime(2026, 1, 2, 3, 4, 5, 678000, r.make_timezone("+02:00"))
orders.insert(
    [
        {
            "id": number,
            "kind": "abc"[number % 3],
            "count": number % 7,
            "text": "tab\tquote\"newline\nnull\x00 é 😀",
            "at": now,
            "bytes": r.binary(bytes(range(256))),
            "place": r.point(number % 90, number % 90),
            "nested": {"list": [1, [2, {"x": None}]], "float": 0.1 + number},
        }
        for number in range(1000)
    ]
).run(here)
r.db("shop").table("people").insert([{"name": "Ada"}, {"name": "Grace", "age": 85}]).run(here)
orders.index_create("compound", lambda order: [order["kind"], order["count"]]).run(here)
orders.index_create("place", geo=True).run(here)
orders.index_create("kinds", lambda order: [order["kind"]], multi=True).run(here)
orders.index_wait().run(here)
orders.set_write_hook(lambda context, before, after: after).run(here)

tool("rethinkdb-dump", "-c", f"{host}:{port}", "-e", "shop", "-f", archive)
tool("rethinkdb-restore", archive, "-c", f"{host}:{other_port}")
assert contents(here) == contents(there), (contents(here), contents(there))

# Restoring over what is there is refused, and done when it is forced.
orders.get(7).delete().run(there)
again = [os.path.join(bin_directory, "rethinkdb-restore"), archive, "-c", f"{host}:{other_port}"]
assert subprocess.run(again, cwd=directory, capture_output=True, check=False).returncode != 0
tool("rethinkdb-restore", archive, "-c", f"{host}:{other_port}", "--force")
assert contents(here) == contents(there)

# Export and import of one table, as JSON, and the rebuilding of its indexes.
exported = os.path.join(directory, "exported")
tool("rethinkdb-export", "-c", f"{host}:{port}", "-e", "shop.people", "-d", exported)
r.db("shop").table_drop("people").run(there)
tool("rethinkdb-import", "-c", f"{host}:{other_port}", "-d", exported)
tool("rethinkdb-index-rebuild", "-c", f"{host}:{other_port}", "-r", "shop.orders")
assert contents(here) == contents(there)
print("tools done")
