package main

import (
	"fmt"
	"strings"

	r "gopkg.in/rethinkdb/rethinkdb-go.v6"
)

var people = r.Table("people")
var towns = r.Table("towns")

func person(n int) object {
	return object{
		"id": n, "name": fmt.Sprintf("p%05d", n), "age": n % 90, "town": fmt.Sprintf("town%d", n%10),
		"tags":    list{fmt.Sprintf("t%d", n%3), fmt.Sprintf("u%d", n%5)},
		"address": object{"street": fmt.Sprintf("s%d", n%7), "number": n},
	}
}

// countPeople counts those of the inserted documents that a predicate holds for.
func countPeople(holds func(n int) bool) int {
	count := 0
	for n := 0; n < documents; n++ {
		if holds(n) {
			count++
		}
	}
	return count
}

func (t tour) server() {
	info, err := t.Server()
	must(err)
	t.check("server info", info.ID != "" && info.Name != "", true)
	t.is("arithmetic", r.Expr(1).Add(2), 3)
	t.check("a database is created", t.field(r.DBCreate("tour_go"), "dbs_created"), 1)
	t.is("and listed", r.DBList().Contains("tour_go"), true)
	t.Use("tour_go")
	t.check("a table is created", t.field(r.TableCreate("people"), "tables_created"), 1)
	t.check("a second one", t.field(r.TableCreate("towns", r.TableCreateOpts{PrimaryKey: "name"}), "tables_created"), 1)
	t.is("both are listed", r.TableList(), list{"people", "towns"})
	t.is("the table is ready", people.Wait().Field("ready"), 1)
	t.is("its configuration", towns.Config().Field("primary_key"), "name")
	t.is("its status", people.Status().Field("status").Field("all_replicas_ready"), true)
	t.is("what it is", people.Info().Field("type"), "TABLE")
}

func (t tour) writes() {
	// The driver cannot wait in a session that has a database of its own: it writes that into a map which it never made.
	plain := connect(r.ConnectOpts{Address: t.address})
	for n := 0; n < 10; n++ {
		town := object{"name": fmt.Sprintf("town%d", n), "size": n * 100}
		must(r.DB("tour_go").Table("towns").Insert(town).Exec(plain, r.ExecOpts{NoReply: true}))
	}
	must(plain.NoReplyWait())
	must(plain.Close())
	t.is("what was sent without waiting is there", towns.Count(), 10)
	inserted := 0.0
	for start := 0; start < documents; start += 500 {
		batch := list{}
		for n := start; n < start+500; n++ {
			batch = append(batch, person(n))
		}
		inserted += t.field(people.Insert(batch), "inserted").(float64)
	}
	t.check("10,000 documents are inserted", inserted, documents)
	t.is("and counted", people.Count(), documents)
	cursor, err := people.Run(t.Session)
	must(err)
	seen, row := 0, object{}
	for cursor.Next(&row) {
		seen++
	}
	must(cursor.Err())
	t.check("and each is there", seen, documents)
	t.is("one is read back as it was written", people.Get(4711), person(4711))

	again := towns.Insert(object{"name": "town0", "new": true})
	t.check("a duplicate key", t.field(again, "errors"), 1)
	t.check("is named", strings.HasPrefix(t.field(again, "first_error").(string), "Duplicate primary key `name`"), true)
	update := towns.Insert(object{"name": "town0", "new": true}, r.InsertOpts{Conflict: "update", ReturnChanges: true})
	t.is("conflict: update", update.Field("changes").AtIndex(0).Field("new_val"), object{"name": "town0", "size": 0, "new": true})
	t.check("conflict: replace", t.field(towns.Insert(object{"name": "town0"}, r.InsertOpts{Conflict: "replace"}), "replaced"), 1)
	resolve := func(_, old, new r.Term) interface{} { return old.Merge(new).Merge(object{"resolved": true}) }
	t.check("conflict: a function", t.field(towns.Insert(object{"name": "town0", "size": 0}, r.InsertOpts{Conflict: resolve}), "replaced"), 1)
	t.is("has resolved it", towns.Get("town0"), object{"name": "town0", "size": 0, "resolved": true})
	t.check("replace without a field", t.field(towns.Get("town0").Replace(r.Row.Without("resolved")), "replaced"), 1)
	t.check("soft durability", t.field(towns.Insert(object{"name": "soft"}, r.InsertOpts{Durability: "soft"}), "inserted"), 1)
	t.check("sync", t.field(towns.Sync(), "synced"), 1)
	t.check("delete", t.field(towns.Get("soft").Delete(), "deleted"), 1)
	t.is("what is deleted is gone", towns.Get("soft").Eq(nil), true)
	older := func(p r.Term) interface{} { return object{"age": p.Field("age").Add(1)} }
	each := r.Expr(list{1, 2}).ForEach(func(n r.Term) interface{} { return people.Get(n).Update(older) })
	t.check("for each", t.field(each, "replaced"), 2)
	back := people.GetAll(1, 2).Update(func(p r.Term) interface{} { return object{"age": p.Field("age").Sub(1)} })
	t.check("update with a function", t.field(back, "replaced"), 2)
	t.check("literal replaces", t.field(people.Get(1).Update(object{"address": r.Literal(object{"street": "s"})}), "replaced"), 1)
	t.is("the whole", people.Get(1).Field("address"), object{"street": "s"})
	t.check("replace", t.field(people.Get(1).Replace(person(1)), "replaced"), 1)
	t.writeHook()
}

func (t tour) writeHook() {
	hook := func(_, _, new r.Term) r.Term { return new.Merge(object{"hooked": true}) }
	t.check("a write hook", t.field(towns.SetWriteHook(hook), "created"), 1)
	t.check("is there", strings.Contains(t.field(towns.GetWriteHook(), "query").(string), "setWriteHook"), true)
	t.check("a write", t.field(towns.Insert(object{"name": "hook"}), "inserted"), 1)
	t.is("goes through it", towns.Get("hook").Field("hooked"), true)
	t.check("it is removed", t.field(towns.SetWriteHook(nil), "deleted"), 1)
	t.check("and the town", t.field(towns.Get("hook").Delete(), "deleted"), 1)
}

func (t tour) documents() {
	t.run(people.IndexCreate("age"))
	t.run(people.IndexCreateFunc("place", list{r.Row.Field("town"), r.Row.Field("address").Field("street")}))
	t.run(people.IndexCreate("tags", r.IndexCreateOpts{Multi: true}))
	t.run(people.IndexCreateFunc("first", func(p r.Term) interface{} { return p.Field("name").Split("").Nth(1) }))
	t.run(people.IndexWait())
	t.is("indexes are listed", people.IndexList(), list{"age", "first", "place", "tags"})
	t.is("and ready", people.IndexStatus("tags").AtIndex(0).Pluck("multi", "ready"), object{"multi": true, "ready": true})
	t.check("one is renamed", t.field(people.IndexRename("first", "digit"), "renamed"), 1)
	t.check("and dropped", t.field(people.IndexDrop("digit"), "dropped"), 1)

	t.is("get_all by an index", people.GetAllByIndex("age", 33).Count(), countPeople(func(n int) bool { return n%90 == 33 }))
	place := func(n int) bool { return n%10 == 3 && n%7 == 2 }
	t.is("by a compound index", people.GetAllByIndex("place", list{"town3", "s2"}).Count(), countPeople(place))
	t.is("by a multi index", people.GetAllByIndex("tags", "t1").Count(), countPeople(func(n int) bool { return n%3 == 1 }))
	t.is("get_all with args", people.GetAll(r.Args(list{5, 6})).Count(), 2)
	ids := people.Between(10, 14, r.BetweenOpts{RightBound: "closed"}).OrderBy(r.OrderByOpts{Index: "id"}).Field("id")
	t.is("between", ids, list{10, 11, 12, 13, 14})
	above := people.Between(88, r.MaxVal, r.BetweenOpts{Index: "age"}).Count()
	t.is("between without end", above, countPeople(func(n int) bool { return n%90 >= 88 }))
	oldest := people.OrderBy(r.OrderByOpts{Index: r.Desc("age")}).Limit(3).Field("age")
	t.is("order_by an index, descending", oldest, list{89, 89, 89})
	sorted := people.GetAll(1, 2, 12).OrderBy(r.Desc("town"), "id").Field("id")
	t.is("order_by fields", sorted, list{2, 12, 1})
	seven := people.Between(20, 30, r.BetweenOpts{Index: "age"}).Filter(func(p r.Term) interface{} { return p.Field("name").Match("7$") })
	t.is("filter with a function", seven.Count(), countPeople(func(n int) bool { return n%90 >= 20 && n%90 < 30 && n%10 == 7 }))
	t.is("filter with an object", people.Filter(object{"address": object{"number": 7}}).Count(), 1)
	t.is("what lacks a field", people.Filter(r.Row.Field("none").Eq(1), r.FilterOpts{Default: true}).Limit(5).Count(), 5)
	t.is("pluck, limit", people.OrderBy("id").Pluck("name").Limit(2), list{object{"name": "p00000"}, object{"name": "p00001"}})
	t.is("skip, nth, slice", people.OrderBy("id").Skip(2).Slice(1, 5).Nth(0).Field("id"), 3)
	t.is("sample", people.Sample(7).Count(), 7)

	joined := people.GetAll(1, 2, 3).EqJoin("town", towns).Zip().OrderBy("id").Field("size")
	t.is("eq_join", joined, list{100, 200, 300})
	same := func(p, town r.Term) interface{} { return p.Field("town").Eq(town.Field("name")) }
	t.is("inner_join", people.GetAll(1, 2).InnerJoin(towns, same).Zip().Field("size").Sum(), 300)
	large := func(p, town r.Term) interface{} { return same(p, town).(r.Term).And(town.Field("size").Gt(100)) }
	matched := people.GetAll(1, 2).OuterJoin(towns, large).Map(r.Row.HasFields("right"))
	t.is("outer_join", matched.CoerceTo("array").Contains(false), true)
}

func (t tour) aggregates() {
	groups := list{}
	for n := 0; n < 10; n++ {
		groups = append(groups, object{"group": fmt.Sprintf("town%d", n), "reduction": 1000})
	}
	t.is("group and count", people.Group("town").Count().Ungroup(), groups)
	t.is("group as the driver gives it", people.Group("town").Count(), groups)
	t.is("group by a function", people.Group(r.Row.Field("age").Mod(2)).Count().Ungroup().Field("group"), list{0, 1})
	t.is("group by an index", people.GroupByIndex("age").Count().Ungroup().Count(), 90)
	t.is("group by many", people.MultiGroup(r.Row.Field("tags")).Count().Ungroup().Count(), 8)
	sum := 0
	for n := 0; n < documents; n++ {
		sum += n % 90
	}
	ages := people.Map(r.Row.Field("age"))
	t.is("map and reduce", ages.Reduce(func(a, b r.Term) interface{} { return a.Add(b) }), sum)
	t.is("sum", people.Sum("age"), sum)
	t.is("avg", people.Avg("age"), float64(sum)/documents)
	t.is("min", people.Min("id").Field("id"), 0)
	t.is("max by an index", people.MaxIndex("age").Field("age"), 89)
	t.is("distinct", people.Distinct(r.DistinctOpts{Index: "age"}).Count(), 90)
	t.is("contains", people.Field("town").Contains("town3", "town4"), true)
	young := people.Count(func(p r.Term) interface{} { return p.Field("age").Lt(2) })
	t.is("count with a function", young, countPeople(func(n int) bool { return n%90 < 2 }))
	running := r.Expr(list{1, 2, 3}).Fold(0, func(sum, n r.Term) r.Term { return sum.Add(n) }, r.FoldOpts{
		Emit: func(_, _, sum r.Term) r.Term { return r.Expr(list{sum}) },
	})
	t.is("fold", running, list{1, 3, 6})
}
