package main

import (
	"fmt"

	r "gopkg.in/rethinkdb/rethinkdb-go.v6"
	"gopkg.in/rethinkdb/rethinkdb-go.v6/types"
)

func (t tour) geometry() {
	t.check("a point", t.run(r.Point(-122.4, 37.8)), types.Geometry{Type: "Point", Point: types.Point{Lon: -122.4, Lat: 37.8}})
	t.is("its type", r.Point(1, 2).TypeOf(), "PTYPE<GEOMETRY>")
	geoJSON := object{"type": "Point", "coordinates": list{1, 2}}
	t.is("GeoJSON there and back", r.GeoJSON(geoJSON).ToGeoJSON(), geoJSON)
	line := r.Line(list{0, 0}, list{0, 1}, list{1, 0})
	t.is("a line is filled", line.Fill().ToGeoJSON().Field("coordinates"), list{list{list{0, 0}, list{0, 1}, list{1, 0}, list{0, 0}}})
	circle := r.Circle(list{0, 0}, 10, r.CircleOpts{NumVertices: 8, Unit: "km"})
	t.is("a circle has corners", circle.ToGeoJSON().Field("coordinates").Nth(0).Count(), 9)
	far := r.Distance(r.Point(-122, 37), r.Point(-123, 37), r.DistanceOpts{Unit: "km"})
	t.is("a distance", far.Mul(1_000_000).Round(), 89_011_263)
	square := r.Polygon(list{0, 0}, list{10, 0}, list{10, 10}, list{0, 10})
	frame := square.PolygonSub(r.Polygon(list{2, 2}, list{8, 2}, list{8, 8}, list{2, 8}))
	t.is("a polygon includes a point", square.Includes(r.Point(5, 5)), true)
	t.is("but not in its hole", frame.Intersects(r.Point(5, 5)), false)
	t.is("a filter by geometry", r.Expr(list{r.Point(1, 1), r.Point(20, 1)}).Intersects(square).Count(), 1)

	t.run(r.TableCreate("places"))
	places := r.Table("places")
	t.run(places.IndexCreate("at", r.IndexCreateOpts{Geo: true}))
	t.run(places.IndexCreate("stops", r.IndexCreateOpts{Geo: true, Multi: true}))
	grid := list{}
	for x := -20; x < 20; x++ {
		for y := -20; y < 20; y++ {
			at := types.Point{Lon: float64(x), Lat: float64(y)}
			stops := list{at, types.Point{Lon: at.Lon, Lat: at.Lat + 0.5}}
			grid = append(grid, object{"id": fmt.Sprintf("%d,%d", x, y), "at": at, "stops": stops})
		}
	}
	t.check("places are inserted", t.field(places.Insert(grid), "inserted"), 1600)
	t.run(places.IndexWait())
	t.is("the index is geospatial", places.IndexStatus("at").Nth(0).Field("geo"), true)
	slow := places.Filter(func(p r.Term) interface{} { return square.Intersects(p.Field("at")) })
	fast := places.GetIntersecting(square, r.GetIntersectingOpts{Index: "at"})
	t.is("what is in a square", fast.Count(), t.run(slow.Count()))
	near := r.Circle(list{0, 0}, 60, r.CircleOpts{Unit: "km"})
	t.is("each stop counts", places.GetIntersecting(near, r.GetIntersectingOpts{Index: "stops"}).Count(), 3)
	nearest := places.GetNearest(r.Point(0.1, 0.1), r.GetNearestOpts{Index: "at", MaxResults: 2, MaxDist: 200, Unit: "km"})
	t.is("the nearest", nearest.Field("doc").Field("id"), list{"0,0", "0,1"})
	t.is("and how far", nearest.Nth(0).Field("dist").Mul(1000).Round(), 15_690)
	t.raises("a wrong latitude", r.RQLQueryLogicError{}, "Latitude must be between -90 and 90.  Got 91.", r.Point(0, 91))
	t.check("the table is dropped", t.field(r.TableDrop("places"), "tables_dropped"), 1)
}
