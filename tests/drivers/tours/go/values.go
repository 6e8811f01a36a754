package main

import (
	"strings"
	"time"

	r "gopkg.in/rethinkdb/rethinkdb-go.v6"
)

func (t tour) values() {
	three := r.Expr(list{1, 2, 3})
	t.is("map over two", three.Map(r.Expr(list{4, 5}), func(a, b r.Term) interface{} { return a.Mul(b) }), list{4, 10})
	t.is("concat_map", three.ConcatMap(func(n r.Term) interface{} { return list{n, n} }).Count(), 6)
	t.is("with_fields", r.Expr(list{object{"a": 1, "b": 2}, object{"b": 3}}).WithFields("a"), list{object{"a": 1}})
	t.is("union", three.UnionWithOpts(r.UnionOpts{Interleave: false}, list{4}), list{1, 2, 3, 4})
	t.is("offsets_of", three.OffsetsOf(3), list{2})
	t.is("is_empty", r.Expr(list{}).IsEmpty(), true)
	t.is("append, prepend, insert, splice", three.Append(4).Prepend(0).InsertAt(1, 9).SpliceAt(0, list{8}), list{8, 0, 9, 1, 2, 3, 4})
	t.is("change, delete", three.ChangeAt(0, 7).DeleteAt(1), list{7, 3})
	t.is("difference", three.Difference(list{2}), list{1, 3})
	t.is("sets", three.SetInsert(3).SetUnion(list{5}).SetIntersection(list{1, 5, 6}).SetDifference(list{1}), list{5})
	t.is("merge", r.Expr(object{"a": object{"b": 1}}).Merge(object{"a": object{"c": 2}}), object{"a": object{"b": 1, "c": 2}})
	t.is("without", r.Expr(object{"a": 1, "b": 2}).Without("a"), object{"b": 2})
	t.is("keys, values", r.Expr(object{"a": 1}).Keys().Add(r.Expr(object{"a": 1}).Values()), list{"a", 1})
	t.is("object", r.Object("a", 1, "b", nil), object{"a": 1, "b": nil})
	t.is("has_fields", r.Expr(object{"a": 1, "b": nil}).HasFields("b"), false)
	t.is("default", r.Expr(object{}).Field("a").Default("none"), "none")
	t.is("range", r.Range(2, 5), list{2, 3, 4})

	t.is("match", r.Expr("id:0,name:mlucy").Match("name:(\\w+)").Field("groups").Nth(0).Field("str"), "mlucy")
	t.is("split", r.Expr("a,b,c").Split(",", 1), list{"a", "b,c"})
	t.is("upcase, downcase", r.Expr("aÉ").Upcase().Add(r.Expr("B").Downcase()), "AÉb")
	t.is("coerce_to", r.Expr("17").CoerceTo("number").Add(1), 18)
	t.is("type_of", r.Expr(list{1, "a", nil}).Map(func(v r.Term) interface{} { return v.TypeOf() }), list{"NUMBER", "STRING", "NULL"})
	t.is("json", r.JSON(`{"a":[1]}`).ToJSON(), `{"a":[1]}`)
	t.is("uuid of a name", r.UUID("photon"), t.run(r.UUID("photon")))
	t.check("uuid", len(t.run(r.UUID()).(string)), 36)

	t.is("numbers", r.Expr(7).Sub(2).Mul(3).Div(2).Floor(), 7)
	t.is("mod, round, ceil", array(r.Expr(7).Mod(4), r.Round(2.5), r.Ceil(1.2)), list{3, 3, 2})
	six := r.Expr(6)
	bits := array(six.BitAnd(3), six.BitOr(1), six.BitXor(3), r.Expr(1).BitSal(4), r.Expr(16).BitSar(2), r.Expr(0).BitNot())
	t.is("bits", bits, list{2, 7, 5, 16, 4, -1})
	t.is("comparisons", r.And(r.Expr(1).Lt(2, 3), r.Expr(3).Ge(3), r.Not(r.Expr(1).Eq(2)), r.Or(false, r.Expr("a").Ne("b"))), true)
	t.is("branch", r.Branch(r.Expr(1).Gt(2), "first", true, "second", "third"), "second")
	t.is("do", r.Do(1, 2, func(a, b r.Term) interface{} { return a.Sub(b) }), -1)
	random := t.run(r.Random(5, 6)).(float64)
	t.check("random", random, 5)

	bytes := []byte{0, 255, 16}
	t.is("bytes", r.Binary(bytes).Slice(1, 3), []byte{255, 16})
	t.check("are stored", t.field(towns.Insert(object{"name": "raw", "raw": r.Binary(bytes)}), "inserted"), 1)
	t.is("and come back", towns.Get("raw").Field("raw"), bytes)
	t.is("counted", towns.Get("raw").Field("raw").Count(), 3)
	t.run(towns.Get("raw").Delete())
}

// array makes an array of terms.
func array(terms ...interface{}) r.Term {
	return r.Expr(terms)
}

func (t tour) times() {
	moment := time.Date(2020, 1, 2, 3, 4, 5, 678_000_000, time.FixedZone("+01:00", 3600))
	t.check("a time is stored", t.field(towns.Insert(object{"name": "timed", "at": moment}), "inserted"), 1)
	at := towns.Get("timed").Field("at")
	t.check("and comes back", t.run(at).(time.Time).Equal(moment), true)
	t.is("in its zone", at.Timezone(), "+01:00")
	t.is("as text", at.ToISO8601(), "2020-01-02T03:04:05.678+01:00")
	t.is("in another zone", at.InTimezone("Z").Hours(), 2)
	t.is("its parts", array(at.Year(), at.Month(), at.Day(), at.Hours(), at.Minutes(), at.Seconds(), at.DayOfWeek(), at.DayOfYear()),
		list{2020, 1, 2, 3, 4, 5.678, 4, 2})
	t.is("the day and the time of day", at.Date().ToEpochTime().Add(at.TimeOfDay()), 1577930645.678)
	t.is("during", at.During(r.Time(2020, 1, 1, "Z"), r.EpochTime(1600000000)), true)
	t.is("a difference", r.ISO8601("2020-01-02T03:04:06.678", r.ISO8601Opts{DefaultTimezone: "+01:00"}).Sub(at), 1)
	t.is("a month and a weekday", array(r.January, r.Thursday), list{1, 4})
	near := r.Now().Sub(time.Now()).Add(60).Floor()
	t.check("now", t.run(near).(float64) >= 0, true)
	t.run(towns.Get("timed").Delete())
}

func (t tour) errors() {
	t.raises("a missing table", r.RQLOpFailedError{}, "Table `tour_go.nothing` does not exist", r.Table("nothing"))
	t.raises("a missing database", r.RQLOpFailedError{}, "Database `nothing` does not exist", r.DB("nothing").TableList())
	t.raises("a missing field", r.RQLNonExistenceError{}, "No attribute `x` in object", r.Expr(object{"a": 1}).Field("x"))
	t.raises("a wrong type", r.RQLQueryLogicError{}, "Expected type NUMBER but found STRING", r.Expr(1).Add("a"))
	t.raises("an array too long", r.RQLResourceLimitError{}, "Array over size limit", r.Range(200_000).CoerceTo("array"))
	t.raises("an error of the user's", r.RQLUserError{}, "mine", r.Error("mine"))
	t.raises("a wrong number of arguments", r.RQLCompileError{}, "Expected", r.Expr(list{}).Slice())
	t.raises("in the middle of a stream", r.RQLNonExistenceError{}, "No attribute `absent`", people.Map(r.Row.Field("absent")))
	_, err := r.Connect(r.ConnectOpts{Address: t.address, Username: "nobody", Password: "x", NumRetries: 1})
	if err == nil || !strings.Contains(err.Error(), "Wrong password") {
		fail("an unknown user: %v", err)
	}
	t.check("an unknown user is refused", err != nil, true)
}

func (t tour) scripts() {
	t.is("a script", r.JS("1 + 1; 2 + 2"), 4)
	t.is("a function in JavaScript", r.Expr(list{1, 2}).Map(r.JS("(function(x) { return {n: x * 2}; })")).Field("n"), list{2, 4})
	old := people.Filter(r.JS("(function(p) { return p.age > 87; })")).Count()
	t.is("a filter in JavaScript", old, countPeople(func(n int) bool { return n%90 > 87 }))
	endless := r.JS("for (;;);", r.JSOpts{Timeout: 0.2})
	t.raises("a script without end", r.RQLQueryLogicError{}, "timed out after 0.200 seconds", endless)
}
