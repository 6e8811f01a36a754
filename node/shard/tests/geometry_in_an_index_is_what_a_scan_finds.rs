//! A geospatial index against looking at every document: random shapes near the poles, the antimeridian and the corners of cells,
//! put, changed and deleted before and after the index is built.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;

use bytes::Bytes;
use photondb_proto::IndexId;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::eval::Cx;
use photondb_reql::eval::stored::{compile_term, encode_function};
use photondb_reql::geo::{LonLat, Shape, cells_of_query, geometry, point_datum, polygon_datum};
use photondb_reql::key::{PrimaryKey, geo_bounds};
use photondb_reql::term;
use photondb_shard::format::encode_command;
use photondb_shard::read::KeyBounds;
use photondb_shard::secondary::decode_datum;
use photondb_shard::shard::BuildStep;
use photondb_shard::{Command, Effect, Entry, Fence, Position, Shard};
use photondb_storage::{Engine, EngineOptions, TreeSetId};

/// A small generator (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.below(1 << 32) as f64 / (1u64 << 32) as f64
    }

    /// A place around one of a few: a corner of three faces, both poles, the antimeridian, and one like any other.
    fn place(&mut self) -> LonLat {
        let (x, y) =
            [(45.0, 35.264), (180.0, 12.0), (0.0, 90.0), (77.0, -90.0), (-122.3, 37.8)][self.below(5) as usize];
        self.near(LonLat { longitude: x, latitude: y }, 3.0)
    }

    fn near(&mut self, at: LonLat, degrees: f64) -> LonLat {
        let longitude = at.longitude + self.between(-degrees, degrees);
        let latitude = (at.latitude + self.between(-degrees, degrees)).clamp(-90.0, 90.0);
        let around = if longitude > 180.0 {
            longitude - 360.0
        } else if longitude < -180.0 {
            longitude + 360.0
        } else {
            longitude
        };
        LonLat { longitude: around, latitude }
    }

    /// A valid geometry.
    fn geometry(&mut self) -> Datum {
        loop {
            let start = self.place();
            let size = [0.001, 0.5, 4.0][self.below(3) as usize];
            let geometry = match self.below(4) {
                0 => point_datum(start),
                1 => photondb_reql::geo::line_datum((0..3).map(|_| self.near(start, size)).collect()),
                2 => polygon_datum((0..3).map(|_| self.near(start, size)).collect()),
                _ => polygon_datum((0..5).map(|_| self.near(start, size)).collect()),
            };
            let geometry = geometry.expect("the numbers are finite");
            if Shape::of(&geometry).is_ok() {
                return geometry;
            }
        }
    }
}

fn field_function(field: &str) -> Bytes {
    let json = format!(r#"[1,[69,[[2,[1]],[170,[[10,[1]],"{field}"]]]]]"#);
    let Ok(term::Message::Start(start)) = term::parse(json.as_bytes()) else { panic!("a query") };
    let function = compile_term(&start.term).expect("compiles");
    Bytes::from(encode_function(&function, &Cx::pure()).expect("encodes"))
}

fn key(id: u64) -> Bytes {
    PrimaryKey::new(&Datum::Number(id as f64)).expect("a number can be a key").bytes()
}

struct Fed {
    shard: Shard,
    fence: Fence,
    position: u64,
}

impl Fed {
    fn new() -> Fed {
        let engine = Engine::in_memory(EngineOptions::default());
        let shard = Shard::open(engine.create_tree_set(TreeSetId(1)).expect("a new tree set")).expect("opens");
        Fed { shard, fence: Fence { term: 1, chain: 1, ..Fence::default() }, position: 0 }
    }

    fn apply(&mut self, command: &Command) {
        self.position += 1;
        let entry = Entry { position: Position(self.position), term: 1, command: Some(encode_command(command)) };
        self.shard.apply(&[entry], Bytes::new()).expect("applies");
    }

    fn write(&mut self, effect: Effect) {
        self.fence.number += 1;
        self.fence.schema = self.shard.view().version;
        self.apply(&Command::Write { fence: self.fence, effects: vec![effect] });
    }

    fn put(&mut self, id: u64, place: Datum, places: Vec<Datum>) {
        let fields = [("id", Datum::Number(id as f64)), ("place", place), ("places", Datum::from(places))];
        let mut document = Vec::new();
        Datum::Object(Object::from(fields)).encode(&mut document);
        self.write(Effect::Put { key: key(id), document: Bytes::from(document) });
    }

    fn create_index(&mut self, id: u64, name: &str, multi: bool) {
        let definition = field_function(name);
        self.apply(&Command::CreateIndex { id: IndexId(id), name: name.into(), multi, geo: true, definition });
    }

    fn finish_indexes(&mut self) {
        while self.shard.build_step(7).expect("builds") != BuildStep::Idle {}
        for id in self.shard.built_not_ready() {
            self.apply(&Command::IndexReady { id });
        }
    }

    /// (id, geometry) of what the index gives for a geometry, a few entries at a time, and how many it gave in all.
    fn found(&self, name: &str, query: &Datum, want: usize) -> (HashSet<(String, String)>, usize) {
        let (ranges, shape) = (cells_of_query(query), Shape::of(query).expect("valid"));
        let (mut found, mut count) = (HashSet::new(), 0);
        for range in ranges.iter() {
            let (low, high) = geo_bounds(range);
            let end = Bound::Excluded(Bytes::copy_from_slice(&high));
            let mut start = Bound::Included(Bytes::copy_from_slice(&low));
            loop {
                let reader = self.shard.read().expect("reads");
                let bounds = KeyBounds::new(start, end.clone());
                let rows = reader.geo_rows(name, &ranges, &bounds, want).expect("reads");
                for row in rows.rows {
                    if shape.intersects(&Shape::of(&row.value).expect("valid")).expect("simple enough") {
                        let id = decode_datum(&row.document).expect("a document").field("id").expect("has one");
                        found.insert((id.print(), row.value.print()));
                        count += 1;
                    }
                }
                match (rows.more, rows.last) {
                    (true, Some(last)) => start = Bound::Excluded(last),
                    _ => break,
                }
            }
        }
        (found, count)
    }
}

type Model = BTreeMap<u64, (Datum, Vec<Datum>)>;

fn change(fed: &mut Fed, model: &mut Model, numbers: &mut Numbers) {
    let id = numbers.below(80);
    if numbers.below(5) == 0 {
        model.remove(&id);
        return fed.write(Effect::Delete { key: key(id) });
    }
    let nothing = [Datum::from("no geometry"), geometry("Point", Datum::from("neither"))];
    let place = if numbers.below(10) == 0 { nothing[numbers.below(2) as usize].clone() } else { numbers.geometry() };
    let places: Vec<Datum> = (0..numbers.below(4)).map(|_| numbers.geometry()).collect();
    model.insert(id, (place.clone(), places.clone()));
    fed.put(id, place, places);
}

fn compare(fed: &Fed, model: &Model, numbers: &mut Numbers) -> usize {
    let query = numbers.geometry();
    let shape = Shape::of(&query).expect("valid");
    let meets = |value: &Datum| Shape::of(value).is_ok_and(|found| shape.intersects(&found).expect("simple enough"));
    let mut expected = (HashSet::new(), 0);
    let mut expected_each = (HashSet::new(), 0);
    for (id, (place, places)) in model {
        if meets(place) {
            expected.0.insert((id.to_string(), place.print()));
            expected.1 += 1;
        }
        for value in places.iter().filter(|value| meets(value)) {
            expected_each.0.insert((id.to_string(), value.print()));
            expected_each.1 += 1;
        }
    }
    let want = 1 + numbers.below(20) as usize;
    assert_eq!(fed.found("place", &query, want), expected, "{query:?}");
    assert_eq!(fed.found("places", &query, want), expected_each, "{query:?}");
    expected.1
}

#[test]
fn the_index_gives_what_a_scan_finds_each_geometry_once() {
    let rounds = if std::env::var("PHOTONDB_TESTS").is_ok_and(|value| value == "full") { 100 } else { 3 };
    let mut met = 0;
    for seed in 0..rounds {
        let mut numbers = Numbers(seed);
        let (mut fed, mut model) = (Fed::new(), Model::new());
        for _ in 0..60 {
            change(&mut fed, &mut model, &mut numbers);
        }
        fed.create_index(1, "place", false);
        fed.create_index(2, "places", true);
        for _ in 0..20 {
            // While they are being built.
            change(&mut fed, &mut model, &mut numbers);
            fed.shard.build_step(3).expect("builds");
        }
        fed.finish_indexes();
        for _ in 0..150 {
            change(&mut fed, &mut model, &mut numbers);
            met += compare(&fed, &model, &mut numbers);
            met += compare(&fed, &model, &mut numbers);
        }
        // Nothing is left of what is gone.
        for id in model.keys() {
            fed.write(Effect::Delete { key: key(*id) });
        }
        let everything = KeyBounds::all();
        for name in ["place", "places"] {
            assert_eq!(fed.shard.read().expect("reads").count_index(name, &everything).expect("counts"), 0);
        }
    }
    assert!(met > 300, "too few shapes met: {met}");
}
