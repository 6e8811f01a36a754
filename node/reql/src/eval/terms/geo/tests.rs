//! Answers and errors of the terms of geometry.

use crate::eval::terms::checked::check;

const SQUARE: &str = "[161,[[2,[1,1]],[2,[2,1]],[2,[2,2]],[2,[1,2]]]]";
const LINE: &str = "[160,[[2,[0,0]],[2,[0,1]]]]";

fn check_with_shapes(cases: &[(&str, &str)]) {
    for (query, expected) in cases {
        check(&[(&query.replace("SQUARE", SQUARE).replace("LINE", LINE), expected)]);
    }
}

#[test]
fn made_and_shown() {
    check_with_shapes(&[
        ("[159,[1,2]]", r#"{"$reql_type$":"GEOMETRY","coordinates":[1,2],"type":"Point"}"#),
        ("LINE", r#"{"$reql_type$":"GEOMETRY","coordinates":[[0,0],[0,1]],"type":"LineString"}"#),
        (
            "[160,[[159,[0,0]],[159,[0,1]]]]",
            r#"{"$reql_type$":"GEOMETRY","coordinates":[[0,0],[0,1]],"type":"LineString"}"#,
        ),
        ("SQUARE", r#"{"$reql_type$":"GEOMETRY","coordinates":[[[1,1],[2,1],[2,2],[1,2],[1,1]]],"type":"Polygon"}"#),
        ("[158,[[159,[1,2]]]]", r#"{"coordinates":[1,2],"type":"Point"}"#),
        (
            r#"[157,[{"type":"Point","coordinates":[2,[1,2]],"bbox":1,"crs":null}]]"#,
            r#"{"$reql_type$":"GEOMETRY","coordinates":[1,2],"crs":null,"type":"Point"}"#,
        ),
        (
            "[167,[[160,[[2,[0,0]],[2,[0,1]],[2,[1,0]]]]]]",
            r#"{"$reql_type$":"GEOMETRY","coordinates":[[[0,0],[0,1],[1,0],[0,0]]],"type":"Polygon"}"#,
        ),
        ("[52,[SQUARE]]", r#""PTYPE<GEOMETRY>""#),
        ("[43,[[170,[[158,[[165,[[2,[0,0]],1],{\"fill\":false}]]],\"coordinates\"]]]]", "33"),
        ("[43,[[170,[[158,[[165,[[2,[0,0]],1],{\"fill\":false,\"num_vertices\":3}]]],\"coordinates\"]]]]", "4"),
        ("[17,[[165,[[2,[0,0]],1],{\"fill\":true}],[167,[[165,[[2,[0,0]],1],{\"fill\":false}]]]]]", "true"),
    ]);
}

#[test]
fn what_cannot_be_made() {
    check_with_shapes(&[
        (
            r#"[157,[{"type":"Point","coordinates":[2,[1,2]],"foo":1}]]"#,
            "QueryLogic: Unrecognized field `foo` found in geometry object.",
        ),
        ("[159,[0,91]]", "QueryLogic: Latitude must be between -90 and 90.  Got 91."),
        ("[159,[180.5,0]]", "QueryLogic: Longitude must be between -180 and 180.  Got 180.5."),
        (r#"[159,["x",0]]"#, "QueryLogic: Expected type NUMBER but found STRING."),
        (
            "[160,[[2,[0,0]],[2,[1]]]]",
            "QueryLogic: Expected point coordinate pair.  Got 1 element array instead of a 2 element one.",
        ),
        ("[160,[[2,[0,0]],[2,[0,0]]]]", "QueryLogic: Invalid LineString.  Are there antipodal or duplicate vertices?"),
        ("[160,[[159,[0,0]],LINE]]", "QueryLogic: Expected geometry of type `Point` but found `LineString`."),
        ("[165,[true,1]]", "QueryLogic: Expected type ARRAY but found BOOL."),
        ("[160,[[2,[0,0]],[101,[0]]]]", "QueryLogic: Expected type ARRAY but found PTYPE<TIME>."),
        ("[165,[[155,[\"a\"]],1]]", "QueryLogic: Expected type ARRAY but found PTYPE<BINARY>."),
        (
            "[161,[[2,[0,0]],[2,[0,2]],[2,[0,1]],[2,[2,0]]]]",
            "QueryLogic: Invalid LinearRing.  Are there antipodal or duplicate vertices? Is it self-intersecting?",
        ),
        ("[165,[[2,[0,0]],-1]]", "QueryLogic: Radius must be positive"),
        (
            r#"[165,[[2,[0,0]],2],{"geo_system":"unit_sphere"}]"#,
            "QueryLogic: Radius must be smaller than a quarter of the circumference along the minor axis of the reference \
             ellipsoid.  Got 2m, but must be smaller than 1.570796326794896558m.",
        ),
        (r#"[165,[[2,[0,0]],1],{"num_vertices":0}]"#, "QueryLogic: num_vertices must be positive."),
        (r#"[165,[[2,[0,0]],1],{"num_vertices":-1}]"#, "QueryLogic: Integer too large: -1"),
        (
            r#"[165,[[2,[0,0]],1],{"num_vertices":4294967295}]"#,
            "ResourceLimit: Array over size limit `100000`.  To raise the number of allowed elements, modify the \
             `array_limit` option to `.run` (not available in the Data Explorer), or use an index.",
        ),
        (r#"[165,[[2,[0,0]],1],{"unit":"parsec"}]"#, "QueryLogic: Unrecognized distance unit `parsec`."),
        (
            r#"[165,[[2,[0,0]],1],{"geo_system":"bogus"}]"#,
            r#"QueryLogic: Unrecognized geo system "bogus" (valid options: "WGS84", "unit_sphere")."#,
        ),
        (r#"[165,[[2,[0,0]],1],{"geo_system":{"a":0,"f":0}}]"#, "QueryLogic: The equator radius `a` must be positive."),
        (
            r#"[165,[[2,[0,0]],1],{"geo_system":{"a":1,"f":1}}]"#,
            "QueryLogic: The flattening `f` must be in the range [0, 1).",
        ),
        ("[167,[[159,[0,0]]]]", "QueryLogic: Expected geometry of type `LineString` but found `Point`."),
        ("[158,[5]]", "QueryLogic: Not a GEOMETRY pseudotype: `5`."),
        (
            r#"[158,[{"$reql_type$":"BINARY","data":"/w=="}]]"#,
            "QueryLogic: Expected type OBJECT but found PTYPE<BINARY>.",
        ),
    ]);
}

#[test]
fn geojson_that_is_none() {
    for (object, message) in [
        (r#"{"type":"Blob","coordinates":1}"#, "Unrecognized GeoJSON type `Blob`."),
        (r#"{"type":"MultiPoint","coordinates":1}"#, "GeoJSON type `MultiPoint` is not supported."),
        (r#"{"type":"Polygon","coordinates":[2,[1]]}"#, "Expected type ARRAY but found NUMBER."),
        (
            r#"{"type":"LineString","coordinates":[2,[[2,[0,0]]]]}"#,
            "GeoJSON LineString must have at least two positions.",
        ),
        (
            r#"{"type":"Polygon","coordinates":[2,[[2,[[2,[0,0]],[2,[0,1]],[2,[1,0]]]]]]}"#,
            "GeoJSON LinearRing must have at least four positions.",
        ),
        (
            r#"{"type":"Polygon","coordinates":[2,[[2,[[2,[0,0]],[2,[0,1]],[2,[1,0]],[2,[1,1]]]]]]}"#,
            "First and last vertex of GeoJSON LinearRing must be identical.",
        ),
        (r#"{"type":"Point","coordinates":[2,[1]]}"#, "Too few coordinates.  Need at least longitude and latitude."),
        (
            r#"{"type":"Point","coordinates":[2,[1,2,3]]}"#,
            "A third altitude coordinate in GeoJSON positions was found, but is not supported.",
        ),
        (
            r#"{"type":"Point","coordinates":[2,[1,2,3,4]]}"#,
            "Too many coordinates.  GeoJSON position should have no more than three coordinates, but got 4.",
        ),
        (
            r#"{"type":"Point","coordinates":[2,[1,2]],"crs":1}"#,
            "Non-default coordinate reference systems are not supported in GeoJSON objects.  Make sure the `crs` field of \
             the geometry is null or non-existent.",
        ),
        (
            r#"{"$reql_type$":"GEOMETRY","type":"Point","coordinates":[2,[1,2]]}"#,
            "GeoJSON object already had a $reql_type$ field.",
        ),
        (
            r#"{"type":"Polygon","coordinates":[2,[[2,[[2,[0,0]],[2,[9,0]],[2,[0,9]],[2,[0,0]]]],[2,[[2,[8,1]],[2,[9,9]],[2,[1,1]],[2,[8,1]]]]]]}"#,
            "Some edges in GeoJSON polygon could not be used.  Are they intersecting?",
        ),
    ] {
        check(&[(&format!("[157,[{object}]]"), &format!("QueryLogic: {message}"))]);
    }
    check(&[
        (r#"[157,[{"k":1}]]"#, "NonExistence: No attribute `type` in object:\n{\n\t\"k\":\t1\n}"),
        ("[157,[1]]", "QueryLogic: Expected type OBJECT but found NUMBER."),
    ]);
}

#[test]
fn measured() {
    check_with_shapes(&[
        ("[183,[[26,[[162,[[159,[-122,37]],[159,[-123,37]]]],1000000]]]]", "89011262538"),
        ("[183,[[26,[[162,[[159,[-122,37]],[159,[-122,36]]]],1000000]]]]", "110968304439"),
        (
            r#"[183,[[26,[[162,[[159,[-122,37]],[159,[-123,37]]],{"geo_system":"unit_sphere"}],1000000000000]]]]"#,
            "13938755096",
        ),
        ("[183,[[26,[[162,[[159,[0,0]],[160,[[2,[5,-1]],[2,[4,2]]]]]],1000000]]]]", "492471499005"),
        // A point of the sphere has one longitude, and it is never 180.
        (
            r#"[170,[[170,[[170,[[158,[[165,[[2,[180,0]],1000],{"num_vertices":4,"fill":false}]]],"coordinates"]],0]],0]]"#,
            "-180",
        ),
        ("[162,[[159,[0,0]],LINE]]", "0"),
        ("[162,[LINE,[159,[0,0]]]]", "0"),
        (
            "[17,[[162,[[159,[0,0]],[159,[0,1]]],{\"unit\":\"km\"}],[26,[[162,[[159,[0,0]],[159,[0,1]]]],0.001]]]]",
            "true",
        ),
        ("[162,[LINE,LINE]]", "QueryLogic: Expected geometry of type `Point` but found `LineString`."),
        ("[162,[1,LINE]]", "QueryLogic: Not a GEOMETRY pseudotype: `1`."),
        (r#"[162,[LINE,LINE],{"unit":1}]"#, "QueryLogic: Expected type STRING but found NUMBER."),
    ]);
}

#[test]
fn held_against_each_other() {
    check_with_shapes(&[
        ("[163,[SQUARE,[159,[2,2]]]]", "true"),
        ("[163,[[159,[2,2]],SQUARE]]", "true"),
        ("[163,[SQUARE,[160,[[2,[2,2]],[2,[3,3]]]]]]", "false"),
        ("[164,[SQUARE,[159,[2,1.5]]]]", "true"),
        ("[164,[SQUARE,[160,[[2,[2,1]],[2,[2,2]]]]]]", "true"),
        ("[164,[[159,[0,0]],SQUARE]]", "QueryLogic: Expected geometry of type `Polygon` but found `Point`."),
        ("[164,[LINE,{}]]", "QueryLogic: Expected geometry of type `Polygon` but found `LineString`."),
        ("[164,[SQUARE,{}]]", "QueryLogic: Not a GEOMETRY pseudotype: `{}`."),
        // On sequences they are filters.
        ("[43,[[163,[[2,[SQUARE,LINE,[159,[1,1]]]],SQUARE]]]]", "2"),
        ("[43,[[163,[[2,[null,SQUARE]],SQUARE]]]]", "1"),
        ("[163,[1,SQUARE]]", "QueryLogic: Cannot perform intersects on a non-object non-sequence `1`."),
        ("[163,[{},SQUARE]]", "QueryLogic: Not a GEOMETRY pseudotype: `{}`."),
        ("[163,[SQUARE,{}]]", "QueryLogic: Not a GEOMETRY pseudotype: `{}`."),
        ("[163,[[101,[0]],SQUARE]]", "QueryLogic: Cannot call `intersects` on objects of type `PTYPE<TIME>`."),
        (
            "[171,[SQUARE,[161,[[2,[1.2,1.2]],[2,[1.8,1.2]],[2,[1.5,1.8]]]]]]",
            r#"{"$reql_type$":"GEOMETRY","coordinates":[[[1,1],[2,1],[2,2],[1,2],[1,1]],[[1.2,1.2],[1.8,1.2],[1.5,1.8],[1.2,1.2]]],"type":"Polygon"}"#,
        ),
        (
            "[171,[SQUARE,[161,[[2,[1.2,1.2]],[2,[2.8,1.2]],[2,[1.5,1.8]]]]]]",
            "QueryLogic: The second argument to `polygon_sub` is not contained in the first one.",
        ),
        ("[171,[SQUARE,LINE]]", "QueryLogic: Expected a Polygon but found a LineString."),
        (
            "[171,[SQUARE,[171,[SQUARE,[161,[[2,[1.2,1.2]],[2,[1.8,1.2]],[2,[1.5,1.8]]]]]]]]",
            "QueryLogic: Expected a Polygon with only an outer shell.  This one has holes.",
        ),
    ]);
}
