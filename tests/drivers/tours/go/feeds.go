package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sort"
	"strings"

	r "gopkg.in/rethinkdb/rethinkdb-go.v6"
)

// page answers with the page asked for; the first two name the next in a link, and there is no ninth.
func page(answer http.ResponseWriter, request *http.Request) {
	if request.Method == http.MethodPost {
		_, err := io.Copy(answer, request.Body)
		must(err)
		return
	}
	number := 1
	if asked := request.URL.Query().Get("page"); asked != "" {
		_, err := fmt.Sscan(asked, &number)
		must(err)
	}
	answer.Header().Set("Content-Type", "application/json")
	if number < 3 {
		answer.Header().Set("Link", fmt.Sprintf(`<http://%s/?page=%d>; rel="next"`, request.Host, number+1))
	}
	if number > 8 {
		answer.WriteHeader(http.StatusNotFound)
	}
	agent := strings.Split(request.UserAgent(), "/")[0]
	fmt.Fprintf(answer, `[{"id": %d, "agent": "%s"}]`, number, agent)
}

func (t tour) fetches() {
	server := httptest.NewServer(http.HandlerFunc(page))
	defer server.Close()
	url := server.URL + "/"
	t.is("a value from another server", r.HTTP(url), list{object{"id": 1, "agent": "PhotonDB"}})
	t.is("parameters", r.HTTP(url, r.HTTPOpts{Params: object{"page": 2}}).Nth(0).Field("id"), 2)
	t.is("a form", r.HTTP(url, r.HTTPOpts{Method: "POST", Data: object{"a": 1, "b": "x y"}, ResultFormat: "text"}), "a=1&b=x%20y")
	t.is("pages as a stream", r.HTTP(url, r.HTTPOpts{Page: "link-next", PageLimit: -1}).Field("id"), list{1, 2, 3})
	missing := r.HTTP(url, r.HTTPOpts{Params: object{"page": 9}})
	t.raises("a page that is not there", r.RQLNonExistenceError{}, "status code 404", missing)
	t.is("is caught by default", missing.Default("caught"), "caught")
}

func (t tour) users() {
	users := r.DB("rethinkdb").Table("users")
	t.check("a user", t.field(users.Insert(object{"id": "ann", "password": "secret"}), "inserted"), 1)
	_, err := r.Connect(r.ConnectOpts{Address: t.address, Username: "ann", Password: "wrong", NumRetries: 1})
	t.check("a wrong password", err != nil && strings.Contains(err.Error(), "Wrong password"), true)
	ann := connect(r.ConnectOpts{Address: t.address, Username: "ann", Password: "secret", Database: "tour_go"})
	// The driver knows no type of its own for errors of permission.
	t.raisesWith(ann, "who may not read", r.RQLRuntimeError{}, "does not have the required `read` permission", people.Get(1))
	t.check("a grant", t.field(r.DB("tour_go").Grant("ann", object{"read": true}), "granted"), 1)
	t.check("on a table", t.field(people.Grant("ann", object{"write": false}), "granted"), 1)
	as := tour{t.address, ann}
	as.is("who may", people.Get(1).Field("id"), 1)
	as.raises("but not write", r.RQLRuntimeError{}, "does not have the required `write` permission", people.Get(1).Delete())
	must(ann.Close())
	t.check("the user is deleted", t.field(users.Get("ann").Delete(), "deleted"), 1)
}

type change struct {
	Old object `rethinkdb:"old_val"`
	New object `rethinkdb:"new_val"`
}

func (t tour) changes() {
	listener := connect(r.ConnectOpts{Address: t.address, Database: "tour_go"})
	feed, err := people.Filter(r.Row.Field("age").Gt(1000)).Changes().Run(listener)
	must(err)
	t.check("a feed", feed.Type(), "Feed")
	point, err := people.Get("watched").Changes(r.ChangesOpts{IncludeInitial: true}).Run(listener)
	must(err)
	first := object{}
	t.check("a point feed begins", point.Next(&first), true)
	t.check("with what is there", first, object{"new_val": nil})
	options := r.ChangesOpts{IncludeInitial: true, IncludeTypes: true}
	top, err := people.OrderBy(r.OrderByOpts{Index: r.Desc("age")}).Limit(1).Changes(options).Run(listener)
	must(err)
	initial := object{}
	t.check("a limit's feed begins", top.Next(&initial), true)
	t.check("with the first", initial["type"], "initial")

	written := make(chan error)
	go func() {
		writer := connect(r.ConnectOpts{Address: t.address, Database: "tour_go"})
		for n := 0; n < 50; n++ {
			if err := people.Insert(object{"id": fmt.Sprintf("w%d", n), "age": 1001 + n}).Exec(writer); err != nil {
				written <- err
				return
			}
		}
		if err := people.Insert(object{"id": "watched", "age": 5}).Exec(writer); err != nil {
			written <- err
			return
		}
		written <- writer.Close()
	}()
	ages := []float64{}
	one := change{}
	for len(ages) < 50 && feed.Next(&one) {
		ages = append(ages, one.New["age"].(float64))
	}
	must(feed.Err())
	must(<-written)
	sort.Float64s(ages)
	expected := []float64{}
	for n := 0; n < 50; n++ {
		expected = append(expected, float64(1001+n))
	}
	t.check("a feed misses nothing and repeats nothing", ages, expected)
	t.check("a point feed goes on", point.Next(&one), true)
	t.check("with the change", one.New, object{"id": "watched", "age": 5})
	moved := object{}
	t.check("a limit's feed goes on", top.Next(&moved), true)
	t.check("with a change", moved["type"], "change")
	must(feed.Close())
	must(point.Close())
	must(top.Close())
	must(listener.Close())
}
