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

/// That nobody may is said before who may not.
#[test]
fn nobody_changes_what_admin_may() {
    let reader = user(Grants { read: Some(true), ..Grants::default() });
    assert_eq!(
        reader.run(r#"[188,["admin",{"read":false}]]"#),
        "!OpFailed: The permissions of the user `admin` can't be modified."
    );
}

/// Who may not set the hook may not pass it by.
#[test]
fn a_writer_passes_no_write_hook_by() {
    let writes = [
        r#"[56,[[15,["t"]],{"id":2}]$O]"#,
        r#"[53,[[16,[[15,["t"]],1]],{"b":1}]$O]"#,
        r#"[53,[[15,["t"]],{"b":2}]$O]"#,
        r#"[53,[[147,[[15,["t"]]]],{"b":3}]$O]"#,
        r#"[55,[[78,[[15,["t"]],1]],{"id":1}]$O]"#,
        r#"[53,[[78,[[15,["t"]]]],{"b":1}]$O]"#,
        r#"[54,[[39,[[15,["t"]],{"b":9}]]]$O]"#,
        r#"[54,[[45,[[15,["t"]],0]]]$O]"#,
    ];
    let writer = user(Grants { read: Some(true), write: Some(true), ..Grants::default() });
    for term in writes {
        let by_hook = writer.run(&term.replace("$O", r#",{"ignore_write_hook":true}"#));
        assert_eq!(by_hook, denied("config"), "{term}");
    }
    let all = Grants { read: Some(true), write: Some(true), config: Some(true), ..Grants::default() };
    for (user, option) in [(writer, ",{\"ignore_write_hook\":false}"), (user(all), ",{\"ignore_write_hook\":true}")] {
        for term in writes {
            let answer = user.run(&term.replace("$O", option));
            assert!(answer.contains(r#""errors":0"#), "{term}: {answer}");
        }
    }
    // It is asked before anything is read or written, and after what is wrong with the query itself.
    let nobody = user(Grants::default());
    let option = r#"{"ignore_write_hook":true}"#;
    assert_eq!(nobody.run(&format!(r#"[54,[[15,["t"]]],{option}]"#)), denied("config"));
    assert_eq!(nobody.run(&format!(r#"[53,[[148,[[15,["t"]]]],{{}}],{option}]"#)), denied("config"));
    assert_eq!(nobody.run(&format!(r#"[56,[[15,["t"]],[15,["t"]]],{option}]"#)), denied("config"));
    let refused = nobody.run(r#"[56,[[15,["t"]],{}],{"ignore_write_hook":true,"durability":"x"}]"#);
    assert!(refused.starts_with("!QueryLogic: Durability option `x` unrecognized"), "{refused}");
}

#[test]
fn who_may_not_read_sees_nothing() {
    let blind = user(Grants { write: Some(true), ..Grants::default() });
    for term in [
        r#"[15,["t"]]"#,
        r#"[16,[[15,["t"]],1]]"#,
        r#"[43,[[15,["t"]]]]"#,
        r#"[152,[[15,["t"]]]]"#,
        r#"[147,[[15,["t"]]]]"#,
        r#"[42,[[15,["t"]]]]"#,
        r#"[43,[[144,[[15,["t"]]],{"index":"id"}]]]"#,
    ] {
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
