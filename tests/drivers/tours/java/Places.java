import static com.rethinkdb.RethinkDB.r;

import com.rethinkdb.gen.ast.ReqlExpr;
import com.rethinkdb.gen.ast.Table;
import com.rethinkdb.gen.exc.ReqlQueryLogicError;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Geometry: shapes, what they include, and indexes of them. */
final class Places {
    private final Tour tour;

    Places(Tour tour) {
        this.tour = tour;
    }

    void go() {
        shapes();
        indexes();
    }

    private static ReqlExpr square() {
        return r.polygon(r.array(0, 0), r.array(10, 0), r.array(10, 10), r.array(0, 10));
    }

    private void shapes() {
        Map<?, ?> geoJson = r.hashMap("type", "Point").with("coordinates", r.array(1, 2));
        tour.is("a point", r.point(1, 2), r.hashMap("type", "Point").with("coordinates", r.array(1, 2)).with("$reql_type$", "GEOMETRY"));
        tour.is("its type", r.point(1, 2).typeOf(), "PTYPE<GEOMETRY>");
        tour.is("GeoJSON there and back", r.geojson(geoJson).toGeojson(), geoJson);
        tour.is("a line is filled", r.line(r.array(0, 0), r.array(0, 1), r.array(1, 0)).fill().toGeojson().g("coordinates"),
            r.array(r.array(r.array(0, 0), r.array(0, 1), r.array(1, 0), r.array(0, 0))));
        tour.is("a circle has corners", r.circle(r.array(0, 0), 10).optArg("num_vertices", 8).optArg("unit", "km").toGeojson()
            .g("coordinates").nth(0).count(), 9);
        tour.is("a distance", r.distance(r.point(-122, 37), r.point(-123, 37)).optArg("unit", "km").mul(1_000_000).round(), 89_011_263);
        ReqlExpr frame = square().polygonSub(r.polygon(r.array(2, 2), r.array(8, 2), r.array(8, 8), r.array(2, 8)));
        tour.is("a polygon includes a point", square().includes(r.point(5, 5)), true);
        tour.is("but not in its hole", frame.intersects(r.point(5, 5)), false);
        tour.is("a filter by geometry", r.expr(r.array(r.point(1, 1), r.point(20, 1))).intersects(square()).count(), 1);
        tour.raises("a wrong latitude", ReqlQueryLogicError.class, "Latitude must be between -90 and 90.  Got 91.", r.point(0, 91));
    }

    private void indexes() {
        tour.run(r.tableCreate("places"));
        Table places = r.table("places");
        tour.run(places.indexCreate("at").optArg("geo", true));
        tour.run(places.indexCreate("stops").optArg("geo", true).optArg("multi", true));
        List<Object> grid = new ArrayList<>();
        for (int x = -20; x < 20; x++) {
            for (int y = -20; y < 20; y++) {
                grid.add(r.hashMap("id", x + "," + y).with("at", r.point(x, y)).with("stops", r.array(r.point(x, y), r.point(x, y + 0.5))));
            }
        }
        tour.check("places are inserted", tour.field(places.insert(grid), "inserted"), 1600);
        tour.run(places.indexWait());
        tour.is("the index is geospatial", places.indexStatus("at").nth(0).g("geo"), true);
        tour.is("what is in a square", places.getIntersecting(square()).optArg("index", "at").count(),
            tour.run(places.filter(p -> square().intersects(p.g("at"))).count()));
        ReqlExpr near = r.circle(r.array(0, 0), 60).optArg("unit", "km");
        tour.is("each stop counts", places.getIntersecting(near).optArg("index", "stops").count(), 3);
        ReqlExpr nearest = places.getNearest(r.point(0.1, 0.1)).optArg("index", "at").optArg("max_results", 2).optArg("max_dist", 200)
            .optArg("unit", "km");
        tour.is("the nearest", nearest.g("doc").g("id"), r.array("0,0", "0,1"));
        tour.is("and how far", nearest.nth(0).g("dist").mul(1000).round(), 15_690);
        tour.check("the table is dropped", tour.field(r.tableDrop("places"), "tables_dropped"), 1);
    }
}
