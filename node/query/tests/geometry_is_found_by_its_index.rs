//! `get_intersecting` and `get_nearest` over a table in memory, and what else is asked of a geospatial index.

use std::rc::Rc;

#[path = "double/catalog.rs"]
mod catalog;
#[path = "double/session.rs"]
mod session;
#[path = "double/table.rs"]
mod table;

use session::Session;

const SQUARE: &str = "[161,[[2,[0,0]],[2,[0,1]],[2,[1,1]],[2,[1,0]]]]";

fn check(session: &Session, cases: &[(&str, &str)]) {
    for (term, expected) in cases {
        let term = term.replace("$T", r#"[15,["t"]]"#).replace("SQUARE", SQUARE);
        assert_eq!(session.run(&term), *expected, "{term}");
    }
}

fn filled() -> Session {
    let session = Session::of(&Rc::default(), "admin");
    check(
        &session,
        &[
            (r#"[75,[$T,"g"],{"geo":true}]"#, r#"{"created":1}"#),
            (r#"[75,[$T,"m"],{"geo":true,"multi":true}]"#, r#"{"created":1}"#),
            (r#"[75,[$T,"other"]]"#, r#"{"created":1}"#),
            (
                r#"[170,[[56,[$T,[2,[
                    {"id":0,"g":[159,[10,10]],"m":[2,[[159,[0,0]],[159,[1,0]],[159,[2,0]]]]},
                    {"id":1,"g":SQUARE},
                    {"id":2,"g":[160,[[2,[0.000002,-1]],[2,[-0.000001,1]]]]},
                    {"id":3,"g":"elsewhere"}
                ]]]],"inserted"]]"#,
                "4",
            ),
        ],
    );
    session
}

#[test]
fn what_meets() {
    check(
        &filled(),
        &[
            (r#"[170,[[166,[$T,[159,[0,0]]],{"index":"g"}],"id"]]"#, "[1]"),
            (r#"[170,[[166,[$T,SQUARE],{"index":"g"}],"id"]]"#, "[1,2]"),
            (r#"[43,[[166,[$T,[160,[[2,[0,0]],[2,[10,10]]]]],{"index":"g"}]]]"#, "3"),
            (r#"[43,[[166,[$T,[159,[20,20]]],{"index":"g"}]]]"#, "0"),
            // A document for each of its geometries.
            (r#"[43,[[166,[$T,SQUARE],{"index":"m"}]]]"#, "2"),
            (r#"[52,[[166,[$T,SQUARE],{"index":"g"}]]]"#, r#""SELECTION<STREAM>""#),
            (r#"[43,[[39,[[166,[$T,SQUARE],{"index":"g"}],[69,[[2,[1]],[17,[[170,[[10,[1]],"id"]],2]]]]]]]]"#, "1"),
            (r#"[170,[[53,[[166,[$T,[159,[0.5,0.5]]],{"index":"g"}],{"seen":true}]],"replaced"]]"#, "1"),
            (r#"[43,[[39,[$T,{"seen":true}]]]]"#, "1"),
            // The option need not be a name written down, the geometry no valid one.
            (
                r#"[43,[[166,[$T,{"$reql_type$":"GEOMETRY","type":"Point","coordinates":[2,[500,0]]}],{"index":"g"}]]]"#,
                "!QueryLogic: Longitude must be between -180 and 180.  Got 500.",
            ),
        ],
    );
}

#[test]
fn what_is_nearest() {
    check(
        &filled(),
        &[
            (r#"[170,[[170,[[168,[$T,[159,[0,0]]],{"index":"g"}],"doc"]],"id"]]"#, "[1,2]"),
            (r#"[170,[[170,[[168,[$T,[2,[0,0]]],{"index":"g","max_dist":1566,"unit":"km"}],"doc"]],"id"]]"#, "[1,2,0]"),
            (r#"[170,[[170,[[168,[$T,[159,[0,0]]],{"index":"g","max_results":1}],"doc"]],"id"]]"#, "[1]"),
            (
                r#"[170,[[168,[$T,[159,[-1,0]]],{"index":"g","max_results":1,"max_dist":200,"unit":"km"}],"dist"]]"#,
                "[111.31949079327358]",
            ),
            (r#"[43,[[168,[$T,[159,[0,0]]],{"index":"g","geo_system":"unit_sphere","max_dist":1}]]]"#, "3"),
            (r#"[43,[[168,[$T,[159,[100,0]]],{"index":"g"}]]]"#, "0"),
            (r#"[52,[[168,[$T,[159,[0,0]]],{"index":"g"}]]]"#, r#""ARRAY""#),
            (
                r#"[168,[$T,[159,[0,0]]],{"index":"g","max_dist":10000000}]"#,
                "!QueryLogic: The distance has become too large for continuing the indexed nearest traversal.  Consider \
                 specifying a smaller `max_dist` parameter.  (Radius must be smaller than a quarter of the circumference \
                 along the minor axis of the reference ellipsoid.  Got 10968937.995244588703m, but must be smaller than \
                 9985163.1855612862855m.)",
            ),
            (r#"[168,[$T,[159,[0,0]]],{"index":"g","max_dist":0}]"#, "!QueryLogic: max_dist must be positive."),
            (r#"[168,[$T,[159,[0,0]]],{"index":"g","max_results":0}]"#, "!QueryLogic: max_results must be positive."),
            (
                r#"[168,[$T,SQUARE],{"index":"g"}]"#,
                "!QueryLogic: Expected geometry of type `Point` but found `Polygon`.",
            ),
        ],
    );
}

#[test]
fn there_is_an_end_to_how_many_meet() {
    let session = filled();
    for id in 10..16 {
        session.run(&format!(r#"[56,[[15,["t"]],{{"id":{id},"g":[159,[0.5,0.5]]}}]]"#));
    }
    check(
        &session,
        &[
            (r#"[43,[[166,[$T,SQUARE],{"index":"g"}]]],{"array_limit":8}"#, "8"),
            (
                r#"[43,[[166,[$T,SQUARE],{"index":"g"}]]],{"array_limit":7}"#,
                "!ResourceLimit: Array size limit exceeded during geospatial index traversal.",
            ),
            (
                r#"[168,[$T,[159,[0.5,0.5]]],{"index":"g","max_dist":200000}],{"array_limit":7}"#,
                "!ResourceLimit: Array size limit exceeded during geospatial index traversal.",
            ),
        ],
    );
}

#[test]
fn other_terms_and_other_indexes() {
    let geospatial = "!QueryLogic: Index `g` is a geospatial index.  Only get_nearest and get_intersecting can use a \
                      geospatial index.";
    check(
        &filled(),
        &[
            (r#"[43,[[78,[$T,0],{"index":"g"}]]]"#, geospatial),
            (r#"[43,[[182,[$T,0,1],{"index":"g"}]]]"#, geospatial),
            (r#"[43,[[41,[$T],{"index":"g"}]]]"#, geospatial),
            (
                r#"[78,[$T,[159,[0,0]]],{"index":"g"}]"#,
                "!QueryLogic: Cannot use a geospatial index with `get_all`. Use `get_intersecting` instead.",
            ),
            (
                r#"[43,[[166,[$T,[159,[0,0]]],{"index":"other"}]]]"#,
                "!QueryLogic: Index `other` is not a geospatial index.  get_intersecting can only be used with a geospatial index.",
            ),
            (
                r#"[168,[$T,[159,[0,0]]],{"index":"other"}]"#,
                "!QueryLogic: Index `other` is not a geospatial index.  get_nearest can only be used with a geospatial index.",
            ),
            (
                r#"[43,[[166,[$T,[159,[0,0]]],{"index":"no"}]]]"#,
                "!OpFailed: Index `no` was not found on table `test.t`.",
            ),
            (r#"[168,[$T,[159,[0,0]]],{"index":"no"}]"#, "!OpFailed: Index `no` was not found on table `test.t`."),
            (r#"[166,[$T,[159,[0,0]]]]"#, "!QueryLogic: get_intersecting requires an index argument."),
            (r#"[168,[$T,[159,[0,0]]]]"#, "!QueryLogic: get_nearest requires an index argument."),
            (r#"[166,[$T,[159,[0,0]]],{"index":"id"}]"#, "!QueryLogic: get_intersecting cannot use the primary index."),
            (r#"[168,[$T,[159,[0,0]]],{"index":"id"}]"#, "!QueryLogic: get_nearest cannot use the primary index."),
            (r#"[166,[$T,5],{"index":"g"}]"#, "!QueryLogic: Not a GEOMETRY pseudotype: `5`."),
            (
                r#"[75,[$T,"det",[69,[[2,[1]],[160,[[10,[1]],[10,[1]]]]]]]]"#,
                "!QueryLogic: Could not prove function deterministic.  Index functions must be deterministic.",
            ),
            (r#"[75,[$T,"pt",[69,[[2,[1]],[159,[[170,[[10,[1]],"x"]],1]]]]],{"geo":true}]"#, r#"{"created":1}"#),
            (r#"[170,[[139,[$T,"g","m","other"]],"geo"]]"#, "[true,true,false]"),
        ],
    );
}
