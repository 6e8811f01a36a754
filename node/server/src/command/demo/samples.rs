//! The documents of a demonstration: a few cities, people and their visits.

use std::time::{Duration, Instant};

use photondb_reql::TermKind;
use serde_json::{Value, json};

use crate::command::connection::{ClientError, Connection, term};

const DATABASE: &str = "demo";

/// How long the nodes may take to be known as places for replicas.
const TABLE_TIME_MAX: Duration = Duration::from_secs(30);

/// What somebody may ask first.
pub(super) const EXAMPLES: [&str; 3] = [
    r#"r.db("demo").table("cities").orderBy({index: r.desc("population")}).limit(3).pluck("name", "population")"#,
    r#"r.db("demo").table("visits").group("city").avg("stars")"#,
    r#"r.db("demo").table("people").changes()          // and insert somebody from another connection"#,
];

/// Makes what is not there yet, with a replica on each node.
pub(super) fn store(connection: &mut Connection) -> Result<(), ClientError> {
    let has = |names: &Value, name: &str| names.as_array().is_some_and(|names| names.iter().any(|known| known == name));
    if !has(&connection.run(&term(TermKind::DbList, &[]))?, DATABASE) {
        connection.run(&term(TermKind::DbCreate, &[json!(DATABASE)]))?;
    }
    let database = term(TermKind::Db, &[json!(DATABASE)]);
    let known = connection.run(&term(TermKind::TableList, std::slice::from_ref(&database)))?;
    for (name, documents) in tables() {
        if has(&known, name) {
            continue;
        }
        create(connection, &database, name)?;
        let table = term(TermKind::Table, &[database.clone(), json!(name)]);
        connection.run(&term(TermKind::Insert, &[table.clone(), term(TermKind::MakeArray, &documents)]))?;
        if name == "cities" {
            connection.run(&term(TermKind::IndexCreate, &[table.clone(), json!("population")]))?;
            connection.run(&term(TermKind::IndexWait, &[table]))?;
        }
    }
    Ok(())
}

/// A node that has just come may not be known as a place yet.
fn create(connection: &mut Connection, database: &Value, name: &str) -> Result<(), ClientError> {
    let began = Instant::now();
    let mut create = term(TermKind::TableCreate, &[database.clone(), json!(name)]);
    if let Some(parts) = create.as_array_mut() {
        parts.push(json!({ "replicas": 3 }));
    }
    loop {
        match connection.run(&create) {
            Err(ClientError::Query(_)) if began.elapsed() < TABLE_TIME_MAX => {
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(error) => return Err(error),
            Ok(_) => break,
        }
    }
    connection.run(&term(TermKind::Wait, &[term(TermKind::Table, &[database.clone(), json!(name)])]))?;
    Ok(())
}

fn tables() -> [(&'static str, Vec<Value>); 3] {
    let cities = [
        ("Lisbon", "Portugal", 545_000),
        ("Nairobi", "Kenya", 4_397_000),
        ("Osaka", "Japan", 2_753_000),
        ("Reykjavik", "Iceland", 139_000),
        ("Valparaiso", "Chile", 296_000),
        ("Winnipeg", "Canada", 750_000),
    ];
    let people = [("ada", "Lisbon"), ("bashir", "Nairobi"), ("chiyo", "Osaka"), ("dagny", "Reykjavik")];
    let visits = [
        ("ada", "Osaka", 5),
        ("ada", "Nairobi", 4),
        ("bashir", "Reykjavik", 3),
        ("bashir", "Valparaiso", 5),
        ("chiyo", "Lisbon", 4),
        ("chiyo", "Winnipeg", 2),
        ("dagny", "Lisbon", 5),
        ("dagny", "Osaka", 3),
    ];
    let city =
        |(name, country, population)| json!({ "id": name, "name": name, "country": country, "population": population });
    let person = |(name, home)| json!({ "id": name, "home": home });
    let visit = |(number, (person, city, stars)): (usize, (&str, &str, i32))| json!({ "id": number + 1, "person": person, "city": city, "stars": stars });
    [
        ("cities", cities.map(city).to_vec()),
        ("people", people.map(person).to_vec()),
        ("visits", visits.into_iter().enumerate().map(visit).collect()),
    ]
}
