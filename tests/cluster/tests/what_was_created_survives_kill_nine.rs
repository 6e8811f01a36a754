//! Tables, indexes, users and grants that were acknowledged are there after the process was killed, and indexes agree with
//! their tables.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::sync::Mutex;
use std::time::Duration;

use photondb_test_cluster::terms::{changes, count, index_create, index_wait, insert, table, table_create};
use photondb_test_cluster::{Connection, Node, Numbers, full, photondb, seed, text};

/// What was acknowledged.
#[derive(Default)]
struct Created {
    /// Names of tables.
    tables: Vec<String>,
    /// Fields of `base` that have an index.
    indexes: Vec<String>,
    /// Documents in `base`.
    documents: u64,
    /// Users, whose password is their name.
    users: Vec<String>,
}

/// Whether the node acknowledged it; `None`: the connection broke.
fn ask(connection: &mut Connection, term: &str) -> Option<()> {
    let answer = connection.run(&format!("[1,{term}]")).ok()?;
    assert_eq!(answer["t"], 1, "{term}: {answer}");
    assert!(answer["r"][0]["errors"].as_u64().unwrap_or(0) == 0, "{term}: {answer}");
    Some(())
}

fn create(mut connection: Connection, round: u64, created: &Mutex<Created>) -> Option<()> {
    for number in 0.. {
        let name = format!("t{round}_{number}");
        ask(&mut connection, &table_create(&name))?;
        created.lock().unwrap().tables.push(name.clone());
        let field = format!("f{round}_{number}");
        ask(&mut connection, &index_create("base", &field))?;
        created.lock().unwrap().indexes.push(field);
        let user = format!("u{round}_{number}");
        ask(
            &mut connection,
            &format!(r#"[56,[[15,[[14,["rethinkdb"]],"users"]],{{"id":"{user}","password":"{user}"}}]]"#),
        )?;
        ask(&mut connection, &format!(r#"[188,[[14,["test"]],"{user}",{{"read":true}}]]"#))?;
        created.lock().unwrap().users.push(user);
    }
    None
}

fn fill(mut connection: Connection, round: u64, created: &Mutex<Created>) -> Option<()> {
    for batch in 0u64.. {
        let documents: Vec<String> = (0..50)
            .map(|row| {
                let id = round << 32 | batch << 8 | row;
                let fields: Vec<String> = (0..4).map(|number| format!(r#""f{round}_{number}":{}"#, row % 7)).collect();
                format!(r#"{{"id":{id},{}}}"#, fields.join(","))
            })
            .collect();
        ask(&mut connection, &insert("base", &documents))?;
        created.lock().unwrap().documents += 50;
    }
    None
}

fn verify(node: &Node, created: &Created) {
    let mut connection = node.connect();
    let names = connection.value(r#"[62,[[14,["test"]]]]"#);
    let names: Vec<&str> = names.as_array().unwrap().iter().filter_map(|name| name.as_str()).collect();
    for name in &created.tables {
        assert!(names.contains(&name.as_str()), "table {name} is lost: {names:?}");
        assert_eq!(connection.value(&count(&table(name))), 0, "{name}");
    }
    assert!(connection.value(&count(&table("base"))).as_u64().unwrap() >= created.documents);
    let states = connection.value(&index_wait("base"));
    let known: Vec<&str> = states.as_array().unwrap().iter().filter_map(|state| state["index"].as_str()).collect();
    for field in &created.indexes {
        assert!(known.contains(&field.as_str()), "index {field} is lost: {known:?}");
        let by_index =
            connection.value(&count(&format!(r#"[182,[{},[180,[]],[181,[]]],{{"index":"{field}"}}]"#, table("base"))));
        let has_field = format!(r#"[69,[[2,[1]],[32,[[10,[1]],"{field}"]]]]"#);
        let in_table = connection.value(&count(&format!("[39,[{},{has_field}]]", table("base"))));
        assert_eq!(by_index, in_table, "index {field}");
    }
    for user in &created.users {
        let server = format!("127.0.0.1:{}", node.ports().driver);
        let listed =
            photondb(&["table", "list", "--db", "test", "--connect", &server, "--user", user, "--password", user]);
        assert!(listed.status.success(), "user {user} is lost: {}", text(&listed));
    }
}

#[test]
fn tables_indexes_and_users_survive() {
    let rounds = if full() { 20 } else { 3 };
    let mut numbers = Numbers(seed("kill -9 under creation"));
    let mut node = Node::start();
    node.connect().value(&table_create("base"));
    let created = Mutex::new(Created::default());
    for round in 0..rounds {
        // An open feed must not get into the way of a restart.
        let mut feed = node.connect();
        feed.run(&format!("[1,{}]", changes("base"))).unwrap();
        let (creator, filler) = (node.connect(), node.connect());
        std::thread::scope(|scope| {
            scope.spawn(|| create(creator, round, &created));
            scope.spawn(|| fill(filler, round, &created));
            std::thread::sleep(Duration::from_millis(50 + numbers.below(1000)));
            node.kill();
        });
        node.check();
        let restarted = node.restart();
        let created = created.lock().unwrap();
        verify(&node, &created);
        println!(
            "round {round}: {} tables, {} indexes, {} users, {} documents; answered again after {restarted:?}",
            created.tables.len(),
            created.indexes.len(),
            created.users.len(),
            created.documents
        );
    }
}
