//! Resume tokens, through whole queries over a table in memory: where an element has one, a feed goes on behind it with nothing
//! missing and nothing twice; where it could not, there is none; and a token is of use to its own query alone.

use std::collections::BTreeMap;
use std::rc::Rc;

#[path = "double/catalog.rs"]
mod catalog;
#[path = "double/feed.rs"]
mod feed;
#[path = "double/session.rs"]
mod session;
#[path = "double/table.rs"]
mod table;

use catalog::MemoryCatalog;
use feed::Feed;
use photondb_reql::datum::{Datum, json};
use proptest::prelude::*;
use session::Session;

fn run(session: &Session, term: &str) -> String {
    session.run(&term.replace("$T", r#"[15,["t"]]"#))
}

fn open(session: &Session, before: &str, options: &str) -> Feed {
    Feed::open(session, &format!("[152,[{before}],{{{options}}}]").replace("$T", r#"[15,["t"]]"#))
}

fn refused(session: &Session, before: &str, options: &str) -> String {
    run(session, &format!("[152,[{before}],{{{options}}}]"))
}

/// Everything a feed has now.
fn all(feed: &mut Feed) -> Vec<Datum> {
    let mut rows = Vec::new();
    loop {
        let more = feed.step();
        if more.is_empty() {
            return rows;
        }
        rows.extend(more);
    }
}

fn field(row: &Datum, name: &str) -> Datum {
    row.field(name).unwrap_or_else(|_| panic!("no `{name}` in {row:?}"))
}

fn token(row: &Datum) -> Option<String> {
    match field(row, "resume_token") {
        Datum::Null => None,
        Datum::String(token) => Some(token.as_str().to_owned()),
        other => panic!("{other:?} is no token"),
    }
}

fn tokens(rows: &[Datum]) -> Vec<Option<String>> {
    rows.iter().map(token).collect()
}

fn behind(token: &str) -> String {
    format!(r#""resume_token":"{token}""#)
}

fn values(rows: &[Datum]) -> Vec<String> {
    rows.iter().map(|row| field(row, "new_val").to_json().expect("JSON")).collect()
}

const TOKENS: &str = r#""resume_token":true"#;

#[test]
fn a_feed_goes_on_behind_any_element() {
    table::SHARDS.set(2);
    let session = Session::of(&Rc::default(), "admin");
    let mut first = open(&session, "$T", TOKENS);
    for id in 1..=4 {
        run(&session, &format!(r#"[56,[$T,{{"id":{id}}}]]"#));
    }
    let rows = all(&mut first);
    assert_eq!(values(&rows), [r#"{"id":1}"#, r#"{"id":2}"#, r#"{"id":3}"#, r#"{"id":4}"#]);
    for (place, token) in tokens(&rows).into_iter().enumerate() {
        let mut next = open(&session, "$T", &behind(&token.expect("each has one")));
        let rest = all(&mut next);
        assert_eq!(values(&rest), values(&rows)[place + 1..]);
        assert_eq!(tokens(&rest), tokens(&rows)[place + 1..], "the same place has the same token");
    }
    // Who asks for no tokens sees nothing of them.
    let mut without = open(&session, "$T", r#""resume_token":false"#);
    run(&session, r#"[56,[$T,{"id":5}]]"#);
    assert_eq!(without.read(), [r#"{"new_val":{"id":5},"old_val":null}"#]);
}

#[test]
fn initial_content_has_no_token_and_is_not_given_again() {
    let session = Session::of(&Rc::default(), "admin");
    run(&session, r#"[56,[$T,[2,[{"id":1},{"id":2}]]]]"#);
    let options = format!(r#""include_initial":true,"include_states":true,{TOKENS}"#);
    let mut first = open(&session, "$T", &options);
    let rows = all(&mut first);
    let has: Vec<bool> = tokens(&rows).iter().map(Option::is_some).collect();
    assert_eq!(has, [false, false, false, true], "the state `ready` has one: {rows:?}");
    let ready = token(&rows[3]).expect("has one");
    run(&session, r#"[56,[$T,{"id":3}]]"#);
    let mut next = open(&session, "$T", &format!(r#""include_initial":true,"include_states":true,{}"#, behind(&ready)));
    let rows = all(&mut next);
    assert_eq!(field(&rows[0], "state"), Datum::from("ready"));
    assert_eq!(token(&rows[0]), Some(ready), "it is where it was");
    assert_eq!(values(&rows[1..]), [r#"{"id":3}"#]);
}

#[test]
fn where_content_was_read_beyond_what_was_told_there_is_no_token_yet() {
    let session = Session::of(&Rc::default(), "admin");
    let options = format!(r#""include_initial":true,"include_states":true,{TOKENS}"#);
    let documents: Vec<String> = (0..700).map(|id| format!(r#"{{"id":{id}}}"#)).collect();
    run(&session, &format!("[56,[$T,[2,[{}]]]]", documents.join(",")));
    // A filter that lets everything through, slowly, so that there are writes between chunks.
    let slow = "[39,[$T,[69,[[2,[1]],[19,[[43,[[38,[[173,[300]],[69,[[2,[2]],[24,[[10,[2]],1]]]]]]]],301]]]]]]";
    let mut feed = open(&session, slow, &options);
    let (mut rows, mut writes) = (Vec::new(), 0);
    let ready = loop {
        run(&session, &format!(r#"[53,[[16,[$T,{}]],{{"a":{writes}}}]]"#, 699 - writes % 100));
        writes += 1;
        rows.extend(feed.poll().unwrap_or_default());
        if let Some(ready) = rows.iter().position(|row| row.field("state") == Ok(Datum::from("ready"))) {
            break ready;
        }
    };
    assert!(
        rows[..=ready].iter().all(|row| token(row).is_none()),
        "the last chunk includes changes that are still to come"
    );
    run(&session, r#"[53,[[16,[$T,1]],{"a":1}]]"#);
    let after = all(&mut feed);
    assert!(token(after.last().expect("a change")).is_some(), "{after:?}");
}

#[test]
fn between_the_elements_of_one_change_there_is_no_token() {
    let session = Session::of(&Rc::default(), "admin");
    run(&session, r#"[75,[$T,"m"],{"multi":true}]"#);
    let mut feed = open(&session, r#"[182,[$T,0,10],{"index":"m"}]"#, TOKENS);
    run(&session, r#"[56,[$T,{"id":1,"m":[2,[1,2,3]]}]]"#);
    run(&session, r#"[56,[$T,{"id":2,"m":[2,[4]]}]]"#);
    let has: Vec<bool> = tokens(&all(&mut feed)).iter().map(Option::is_some).collect();
    assert_eq!(has, [false, false, true, true]);
}

#[test]
fn squashed_elements_have_a_token_where_nothing_in_between_waits() {
    let session = Session::of(&Rc::default(), "admin");
    let mut feed = open(&session, "$T", &format!(r#""squash":true,{TOKENS}"#));
    for write in [
        r#"[56,[$T,{"id":1}]]"#,
        r#"[56,[$T,{"id":2}]]"#,
        r#"[53,[[16,[$T,1]],{"a":1}]]"#,
        r#"[56,[$T,{"id":3}]]"#,
        r#"[54,[[16,[$T,2]]]]"#,
        r#"[56,[$T,{"id":4}]]"#,
    ] {
        run(&session, write);
    }
    let rows = all(&mut feed);
    // The second document came and went, and was there when the third one came.
    assert_eq!(values(&rows), [r#"{"a":1,"id":1}"#, r#"{"id":3}"#, r#"{"id":4}"#]);
    let has: Vec<bool> = tokens(&rows).iter().map(Option::is_some).collect();
    assert_eq!(has, [false, true, true]);

    run(&session, r#"[56,[$T,{"id":5}]]"#);
    run(&session, r#"[56,[$T,{"id":6}]]"#);
    run(&session, r#"[53,[[16,[$T,5]],{"a":1}]]"#);
    let rows = all(&mut feed);
    assert_eq!(values(&rows), [r#"{"a":1,"id":5}"#, r#"{"id":6}"#]);
    let has: Vec<bool> = tokens(&rows).iter().map(Option::is_some).collect();
    assert_eq!(has, [false, true], "the first element shows a change behind that of the second");
}

#[test]
fn what_was_skipped_is_given_to_who_goes_on_before_it() {
    let session = Session::of(&Rc::default(), "admin");
    let mut feed = open(&session, "$T", &format!(r#""changefeed_queue_size":3,{TOKENS}"#));
    run(&session, r#"[56,[$T,{"id":0}]]"#);
    let before = token(&all(&mut feed)[0]).expect("has one");
    for id in 1..=5 {
        run(&session, &format!(r#"[56,[$T,{{"id":{id}}}]]"#));
    }
    let rows = all(&mut feed);
    assert!(rows[0].field("error").is_ok() && token(&rows[0]).is_none(), "{rows:?}");
    let mut again = open(&session, "$T", &behind(&before));
    assert_eq!(values(&all(&mut again)).len(), 5);
    assert!(tokens(&rows[1..]).iter().all(Option::is_some), "{rows:?}");
}

fn one_token(session: &Session, before: &str) -> String {
    let mut feed = open(session, before, &format!(r#""include_states":true,{TOKENS}"#));
    token(&all(&mut feed)[0]).expect("`ready` has one")
}

/// `filter(x => x.a > bound)`, where the driver has numbered the variable.
fn filter(variable: u32, bound: u32) -> String {
    format!(r#"[39,[$T,[69,[[2,[{variable}]],[21,[[170,[[10,[{variable}]],"a"]],{bound}]]]]]]"#)
}

#[test]
fn a_token_is_of_use_to_its_own_query_alone() {
    let catalog = Rc::new(MemoryCatalog::default());
    let session = Session::of(&catalog, "admin");
    run(&session, r#"[75,[$T,"a"]]"#);
    run(&session, r#"[75,[$T,"b"]]"#);
    let queries = [
        "$T".to_owned(),
        "[16,[$T,1]]".to_owned(),
        "[78,[$T,1]]".to_owned(),
        "[78,[$T,1,2]]".to_owned(),
        "[182,[$T,1,2]]".to_owned(),
        r#"[182,[$T,1,2],{"right_bound":"closed"}]"#.to_owned(),
        r#"[182,[$T,1,2],{"index":"a"}]"#.to_owned(),
        r#"[182,[$T,1,2],{"index":"b"}]"#.to_owned(),
        r#"[39,[$T,{"a":1}]]"#.to_owned(),
        r#"[39,[$T,{"a":1}],{"default":true}]"#.to_owned(),
        filter(1, 5),
        filter(1, 6),
        r#"[33,[$T,"a"]]"#.to_owned(),
        r#"[34,[$T,"a"]]"#.to_owned(),
        r#"[33,[$T,"a","b"]]"#.to_owned(),
        format!(r#"[33,[{},"a"]]"#, filter(1, 5)),
        r#"[38,[$T,[69,[[2,[1]],[69,[[2,[2]],[10,[1]]]]]]]]"#.to_owned(),
    ];
    for before in &queries {
        let token = one_token(&session, before);
        for other in &queries {
            if before == other {
                drop(open(&session, other, &behind(&token)));
            } else {
                let answer = refused(&session, other, &behind(&token));
                assert!(answer.starts_with("!QueryLogic: The resume token is of another query."), "{other}: {answer}");
            }
        }
    }
    // Drivers number variables as they go, and what only shows changes otherwise says nothing of where they are.
    let token = one_token(&session, &filter(1, 5));
    drop(open(&session, &filter(77, 5), &behind(&token)));
    drop(open(&session, &filter(1, 5), &format!(r#""squash":true,"include_types":true,{}"#, behind(&token))));
    // An index of the same name with another function is another index.
    let by_index = r#"[182,[$T,1,2],{"index":"a"}]"#;
    let token = one_token(&session, by_index);
    run(&session, r#"[76,[$T,"a"]]"#);
    run(&session, r#"[75,[$T,"a",[69,[[2,[1]],[170,[[10,[1]],"b"]]]]]]"#);
    assert!(refused(&session, by_index, &behind(&token)).contains("another query"));
    // And so is a table.
    let token = one_token(&session, "$T");
    session.run(r#"[61,["t"]]"#);
    session.run(r#"[60,["t"]]"#);
    assert_eq!(
        refused(&session, "$T", &behind(&token)),
        "!QueryLogic: The resume token is of another table, perhaps one of the same name that was dropped. Use it with that table, or begin \
         again without a token, with `include_initial`."
    );
}

#[test]
fn what_is_no_token_is_refused() {
    let session = Session::of(&Rc::default(), "admin");
    let token = one_token(&session, "$T");
    let mut flipped = token.clone().into_bytes();
    flipped[12] = if flipped[12] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).expect("is text");
    for text in ["", "true", "resume", &flipped, &token[1..], &token[..token.len() - 1], &format!("{token}A")] {
        let answer = refused(&session, "$T", &behind(text));
        assert!(answer.starts_with("!QueryLogic: The resume token is damaged."), "{text}: {answer}");
    }
    for (value, found) in [("1", "NUMBER"), ("null", "NULL"), ("{}", "OBJECT")] {
        let answer = refused(&session, "$T", &format!(r#""resume_token":{value}"#));
        assert!(answer.ends_with(&format!("Expected BOOL or STRING but found {found}.")), "{answer}");
    }
}

#[test]
fn feeds_that_could_not_go_on_exactly_give_no_tokens() {
    let session = Session::of(&Rc::default(), "admin");
    run(&session, r#"[56,[$T,{"id":1}]]"#);
    for (before, what) in [
        (r#"[71,[[41,[$T],{"index":"id"}],2]]"#, "`order_by` with `limit`"),
        (r#"[147,[$T],{"index":"id"}]"#, "`min` or `max`"),
        ("[44,[$T,$T]]", "a union"),
    ] {
        for options in [TOKENS, r#""resume_token":"x""#] {
            let answer = refused(&session, before, options);
            assert!(
                answer.starts_with(&format!("!QueryLogic: Cannot give resume tokens for the changes of {what}: ")),
                "{answer}"
            );
        }
    }
}

#[test]
fn a_token_whose_changes_are_gone_is_too_old() {
    let catalog = Rc::new(MemoryCatalog::default());
    let session = Session::of(&catalog, "admin");
    let mut feed = open(&session, "$T", TOKENS);
    for id in 1..=4 {
        run(&session, &format!(r#"[56,[$T,{{"id":{id}}}]]"#));
    }
    let rows = all(&mut feed);
    catalog.trim("t", 2);
    let opened: Vec<String> = tokens(&rows)
        .into_iter()
        .map(|token| refused_or_open(&session, &behind(&token.expect("each has one"))))
        .collect();
    assert_eq!(opened, ["!OpFailed: The token is too old.", "open", "open", "open"]);
}

fn refused_or_open(session: &Session, options: &str) -> String {
    let term = format!("[152,[$T],{{{options}}}]").replace("$T", r#"[15,["t"]]"#);
    session.open(&term).err().unwrap_or_else(|| "open".to_owned())
}

/// A reader that applies what it is told. It goes away when it likes, and goes on where its last token says.
struct Reader {
    before: &'static str,
    options: &'static str,
    exact: bool,
    feed: Option<Feed>,
    waiting: Vec<Datum>,
    /// Documents by key, as often as they are shown.
    known: BTreeMap<String, Vec<String>>,
    /// What was known behind the last element that had a token, and the token.
    kept: Option<(BTreeMap<String, Vec<String>>, String)>,
    resumed: usize,
}

impl Reader {
    fn go_on(&mut self, session: &Session) {
        let options = match &self.kept {
            Some((known, token)) => {
                self.known = known.clone();
                self.resumed += 1;
                format!("{},{}", self.options, behind(token))
            }
            None => {
                self.known.clear();
                format!("{},{TOKENS}", self.options)
            }
        };
        self.feed = Some(open(session, self.before, &format!(r#""include_initial":true,{options}"#)));
    }

    fn read(&mut self, session: &Session, elements: usize) {
        if self.feed.is_none() {
            self.go_on(session);
        }
        if self.waiting.is_empty() {
            self.waiting = self.feed.as_mut().expect("is open").step();
            self.waiting.reverse();
        }
        for _ in 0..elements {
            let Some(row) = self.waiting.pop() else { return };
            self.take(&row);
        }
    }

    fn leave(&mut self) {
        self.feed = None;
        self.waiting.clear();
    }

    fn take(&mut self, row: &Datum) {
        if row.field("state").is_ok() {
            return self.keep(row);
        }
        let old = row.field("old_val").ok().filter(|old| !old.is_null());
        let new = row.field("new_val").ok().filter(|new| !new.is_null());
        let Some(document) = new.as_ref().or(old.as_ref()) else { return self.keep(row) };
        let key = field(document, "id").print();
        let shown = self.known.entry(key).or_default();
        if let Some(old) = old {
            let place = shown.iter().position(|known| *known == old.print());
            let place = place.unwrap_or_else(|| panic!("{row:?} does not follow {shown:?} in {}", self.before));
            shown.remove(place);
        }
        shown.extend(new.map(|new| new.print()));
        self.keep(row);
    }

    fn keep(&mut self, row: &Datum) {
        self.known.retain(|_, shown| !shown.is_empty());
        if let Some(token) = token(row) {
            self.kept = Some((self.known.clone(), token));
        } else if self.exact && self.kept.is_some() {
            panic!("every change is one element here, so {row:?} has a token");
        }
    }
}

const READERS: [(&str, &str, bool); 8] = [
    ("$T", r#""include_states":true"#, true),
    ("$T", r#""squash":true"#, false),
    (r#"[182,[$T,0,6],{"index":"a"}]"#, r#""include_states":true"#, true),
    (r#"[182,[$T,2,9],{"index":"m"}]"#, r#""squash":false"#, false),
    (r#"[182,[$T,2,9],{"index":"a"}]"#, r#""squash":true"#, false),
    (r#"[39,[$T,[69,[[2,[1]],[21,[[170,[[10,[1]],"a"]],4]]]]]]"#, r#""include_states":true"#, true),
    ("[16,[$T,3]]", r#""include_states":true"#, true),
    ("[78,[$T,1,5,7]]", r#""squash":true"#, false),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn who_leaves_anywhere_and_goes_on_has_what_the_query_has(
        shards in 1u64..4,
        steps in prop::collection::vec((0u8..16, 0u8..10, 0u8..10, 0usize..8), 1..120),
    ) {
        table::SHARDS.set(shards);
        let catalog = Rc::new(MemoryCatalog::default());
        let session = Session::of(&catalog, "admin");
        run(&session, r#"[75,[$T,"a"]]"#);
        run(&session, r#"[75,[$T,"m"],{"multi":true}]"#);
        let mut readers = READERS.map(|(before, options, exact)| Reader {
            before,
            options,
            exact,
            feed: None,
            waiting: Vec::new(),
            known: BTreeMap::new(),
            kept: None,
            resumed: 0,
        });
        for (number, (what, key, value, reader)) in steps.into_iter().enumerate() {
            match what {
                0..6 => {
                    let document = format!(r#"{{"id":{key},"a":{value},"n":{number},"m":[2,[{value},{}]]}}"#, value / 2);
                    run(&session, &format!(r#"[56,[$T,{document}],{{"conflict":"replace"}}]"#));
                }
                6..8 => drop(run(&session, &format!("[54,[[16,[$T,{key}]]]]"))),
                8..14 => readers[reader].read(&session, usize::from(value)),
                _ => readers[reader].leave(),
            }
        }
        for reader in &mut readers {
            reader.leave();
            // Until nothing more comes.
            loop {
                let before = reader.known.clone();
                reader.read(&session, usize::MAX);
                if reader.feed.is_some() && reader.waiting.is_empty() && before == reader.known {
                    reader.read(&session, usize::MAX);
                    break;
                }
            }
            let rows = run(&session, reader.before);
            let rows = json::parse(rows.as_bytes()).expect("JSON");
            let documents = match rows {
                Datum::Array(rows) => rows.into_vec(),
                Datum::Null => Vec::new(),
                row => vec![row],
            };
            let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for document in documents {
                expected.entry(field(&document, "id").print()).or_default().push(document.print());
            }
            prop_assert_eq!(&reader.known, &expected, "{} {}", reader.before, reader.options);
        }
    }
}
