//! Tags in `server_config` are names, and a server may have none.

use photondb_test_cluster::Node;
use photondb_test_cluster::terms::table_create;
use serde_json::{Value, json};

const ROWS: &str = r#"[15,[[14,["rethinkdb"]],"server_config"]]"#;

fn tag(tags: &str) -> String {
    format!(r#"[53,[{ROWS},{{"tags":{tags}}}]]"#)
}

#[test]
fn what_is_no_name_is_refused_in_the_words_of_rethinkdb() {
    let node = Node::start();
    let mut connection = node.connect();
    for (tags, said) in [
        (r#"[2,["a b"]]"#, r#"In `tags`: "a b" is not a valid server tag; Use A-Z, a-z, 0-9, _ and - only"#),
        (r#"[2,[""]]"#, r#"In `tags`: "" is not a valid server tag; Use A-Z, a-z, 0-9, _ and - only"#),
        ("[2,[1]]", "In `tags`: Expected a server tag; got 1"),
        (r#""a""#, r#"In `tags`: Expected an array, got "a""#),
    ] {
        let answer = connection.value(&tag(tags));
        assert_eq!(answer["errors"], 1, "{answer}");
        let expected = "The change you're trying to make to `rethinkdb.server_config` has the wrong format. ";
        assert_eq!(answer["first_error"], format!("{expected}{said}"));
    }
    assert_eq!(connection.rows(ROWS)[0]["tags"], json!(["default"]));
}

#[test]
fn a_server_without_tags_gets_no_replicas_until_it_has_one_again() {
    let mut node = Node::start();
    let mut connection = node.connect();
    assert_eq!(connection.value(&tag("[2,[]]"))["replaced"], 1);
    assert_eq!(connection.rows(ROWS)[0]["tags"], json!([]));
    let (_, said) = connection.failure(&table_create("t"));
    assert!(
        said.starts_with("Can't put 1 replicas on servers with the tag `default` because there are only 0"),
        "{said}"
    );
    // It lasts.
    assert!(node.terminate().success(), "{}", node.log());
    node.restart();
    let mut connection = node.connect();
    assert_eq!(connection.rows(ROWS)[0]["tags"], json!([]));
    assert_eq!(connection.value(&tag(r#"[2,["default","east"]]"#))["replaced"], 1);
    assert_eq!(connection.rows(ROWS)[0]["tags"], json!(["default", "east"]));
    assert_ne!(connection.value(&table_create("t"))["tables_created"], Value::Null);
}
