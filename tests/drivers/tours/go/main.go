// A tour with the official Go driver. Usage: tour HOST PORT
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"

	r "gopkg.in/rethinkdb/rethinkdb-go.v6"
)

const documents = 10_000

type object = map[string]interface{}
type list = []interface{}

// A tour has one connection, that of the administrator, and opens others where it needs them.
type tour struct {
	address string
	*r.Session
}

func main() {
	address := os.Args[1] + ":" + os.Args[2]
	t := tour{address, connect(r.ConnectOpts{Address: address})}
	t.server()
	t.writes()
	t.documents()
	t.aggregates()
	t.values()
	t.times()
	t.errors()
	t.geometry()
	t.scripts()
	t.fetches()
	t.users()
	t.changes()
	t.check("the database is dropped", t.field(r.DBDrop("tour_go"), "tables_dropped"), 2)
	must(t.Close())
	fmt.Println("tour done")
}

func connect(options r.ConnectOpts) *r.Session {
	session, err := r.Connect(options)
	must(err)
	return session
}

func must(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func fail(format string, values ...interface{}) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
	os.Exit(1)
}

// check compares what both are in JSON, where 3 and 3.0 are one number and the order of keys does not count.
func (tour) check(name string, found, expected interface{}) {
	one, err := json.Marshal(found)
	must(err)
	other, err := json.Marshal(expected)
	must(err)
	if string(one) != string(other) {
		fail("%s: found %s, expected %s", name, one, other)
	}
	fmt.Println("ok", name)
}

func (t tour) run(query r.Term) interface{} {
	cursor, err := query.Run(t.Session)
	if err != nil {
		fail("%s: %v", query, err)
	}
	value, err := cursor.Interface()
	if err != nil {
		fail("%s: %v", query, err)
	}
	return value
}

// field runs a query whose answer is an object and takes one of its fields.
func (t tour) field(query r.Term, name string) interface{} {
	answer, is := t.run(query).(object)
	if !is {
		fail("%s: the answer is no object", query)
	}
	return answer[name]
}

// is runs a query and checks its answer.
func (t tour) is(name string, query r.Term, expected interface{}) {
	t.check(name, t.run(query), expected)
}

// raises runs a query and checks that it fails with an error of the type of `kind` whose message contains a text.
func (t tour) raises(name string, kind error, text string, query r.Term) {
	t.raisesWith(t.Session, name, kind, text, query)
}

func (t tour) raisesWith(session *r.Session, name string, kind error, text string, query r.Term) {
	cursor, err := query.Run(session)
	if err == nil {
		_, err = cursor.Interface()
	}
	if err == nil {
		fail("%s: nothing was raised", name)
	}
	if reflect.TypeOf(err) != reflect.TypeOf(kind) || !strings.Contains(err.Error(), text) {
		fail("%s: %T: %v", name, err, err)
	}
	fmt.Println("ok", name)
}
