//! Users who may not, and the words they are told in.

#[path = "double/catalog.rs"]
mod catalog;
#[path = "double/session.rs"]
mod session;
#[path = "double/table.rs"]
mod table;

use std::rc::Rc;

use catalog::MemoryCatalog;
use photondb_query::catalog::{Grants, UserPermissions};
use session::Session;

fn user(grants: Grants) -> Session {
    let catalog = Rc::<MemoryCatalog>::default();
    let admin = Session::of(&catalog, "admin");
    admin.run(r#"[56,[[15,["t"]],{"id":1}]]"#);
    let permissions = UserPermissions { global: grants, ..UserPermissions::default() };
    catalog.users.borrow_mut().insert("u".to_owned(), permissions);
    Session::of(&catalog, "u")
}

fn denied(permission: &str) -> String {
    format!("!Permission: User `u` does not have the required `{permission}` permission.")
}

#[test]
fn a_reader_reads_and_does_nothing_else() {
    let reader = user(Grants { read: Some(true), ..Grants::default() });
    assert_eq!(reader.run(r#"[43,[[15,["t"]]]]"#), "1");
    assert_eq!(reader.run(r#"[56,[[15,["t"]],{}]]"#), denied("write"));
    assert_eq!(reader.run(r#"[54,[[15,["t"]]]]"#), denied("write"));
    assert_eq!(reader.run(r#"[75,[[15,["t"]],"a"]]"#), denied("config"));
    assert_eq!(reader.run(r#"[60,["x"]]"#), denied("config"));
}

#[test]
fn who_may_not_read_sees_nothing() {
    let blind = user(Grants { write: Some(true), ..Grants::default() });
    for term in [r#"[15,["t"]]"#, r#"[16,[[15,["t"]],1]]"#, r#"[43,[[15,["t"]]]]"#, r#"[152,[[15,["t"]]]]"#] {
        assert_eq!(blind.run(term), denied("read"), "{term}");
    }
    assert_eq!(blind.run(r#"[170,[[56,[[15,["t"]],{"id":2}]],"inserted"]]"#), "1");
}

#[test]
fn who_may_not_connect_fetches_nothing() {
    let query = r#"[153,["example.org"]]"#;
    let all_else = Grants { read: Some(true), write: Some(true), config: Some(true), ..Grants::default() };
    for grants in [all_else, Grants { connect: Some(false), ..all_else }] {
        let stranger = user(grants);
        assert_eq!(stranger.run(query), denied("connect"));
        // Before anything else is looked at, and wherever it stands.
        assert_eq!(stranger.run(r#"[153,[1],{"method":"x"}]"#), denied("connect"));
        assert_eq!(stranger.run(&format!("[38,[[2,[1]],[69,[[2,[1]],{query}]]]]")), denied("connect"));
        assert_eq!(stranger.run(r#"[92,[[153,["x"],{"page":"link-next","page_limit":1}],1]]"#), denied("connect"));
    }
    let connected = user(Grants { connect: Some(true), ..Grants::default() });
    // On a server that fetches nothing nobody is told what else is wrong.
    for query in [query, r#"[153,[1]]"#, r#"[153,["x"],{"method":"x"}]"#, r#"[153,["x"],{"page":"x"}]"#] {
        assert_eq!(
            connected.run(query),
            "!OpFailed: `http` is not allowed on this server (it was started without `--allow-http`).",
            "{query}"
        );
    }
}
