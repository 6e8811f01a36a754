//! A geospatial index against looking at every document: random shapes near the poles, the antimeridian and the corners of cells,
//! put, changed and deleted before and after the index is built.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;

use bytes::Bytes;
use photondb_proto::IndexId;
use photondb_reql::datum::{Datum, Object};
use photondb_reql::eval::Cx;
use photondb_reql::eval::stored::{compile_term, encode_function};
use photondb_reql::geo::{Effort, LonLat, Shape, Unpaced, cells_of_query, geometry, point_datum, polygon_datum};
use photondb_reql::key::{PrimaryKey, geo_bounds};
use photondb_reql::term;
use photondb_shard::format::encode_command;
use photondb_shard::read::{GeoScan, KeyBounds};
use photondb_shard::secondary::decode_datum;
use photondb_shard::shard::BuildStep;
use photondb_shard::{Command, Effect, Entry, EntryNumber, Fence, Shard};
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
            if shape(&geometry).is_some() {
                return geometry;
            }
        }
    }
}

fn shape(geometry: &Datum) -> Option<Shape> {
    Shape::of(geometry, &mut Effort::new(&Unpaced)).ok()
}

fn meet(one: &Shape, other: &Shape) -> bool {
    one.intersects(other, &mut Effort::new(&Unpaced)).expect("simple enough")
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
        let entry = Entry { position: EntryNumber(self.position), term: 1, command: Some(encode_command(command)) };
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
        let (ranges, shape) = (cells_of_query(query, &Unpaced), shape(query).expect("valid"));
        let (mut found, mut count, mut scan) = (HashSet::new(), 0, GeoScan::default());
        for range in ranges.iter() {
            let (low, high) = geo_bounds(range);
            let end = Bound::Excluded(Bytes::copy_from_slice(&high));
            let mut start = Bound::Included(Bytes::copy_from_slice(&low));
            loop {
                let reader = self.shard.read().expect("reads");
                let bounds = KeyBounds::new(start, end.clone());
                let rows = reader.geo_rows(name, &ranges, &bounds, want, &mut scan).expect("reads");
                for row in rows.rows {
                    if meet(&shape, &self::shape(&row.value).expect("valid")) {
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
    let sought = shape(&query).expect("valid");
    let meets = |value: &Datum| shape(value).is_some_and(|found| meet(&sought, &found));
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

/// All rows of an index that meet a circle around (0, 0), in looks of `want` entries; what each look gave.
fn looks(fed: &Fed, name: &str, want: usize) -> Vec<Vec<(Bytes, Datum)>> {
    let around = polygon_datum(
        [(-5.0, -5.0), (5.0, -5.0), (5.0, 5.0), (-5.0, 5.0)]
            .map(|(longitude, latitude)| LonLat { longitude, latitude })
            .to_vec(),
    );
    let ranges = cells_of_query(&around.expect("finite"), &Unpaced);
    let (mut looks, mut scan) = (Vec::new(), GeoScan::default());
    for range in ranges.iter() {
        let (low, high) = geo_bounds(range);
        let end = Bound::Excluded(Bytes::copy_from_slice(&high));
        let mut start = Bound::Included(Bytes::copy_from_slice(&low));
        loop {
            let reader = fed.shard.read().expect("reads");
            let found =
                reader.geo_rows(name, &ranges, &KeyBounds::new(start, end.clone()), want, &mut scan).expect("reads");
            looks.push(found.rows.into_iter().map(|row| (row.document, row.value)).collect());
            match (found.more, found.last) {
                (true, Some(last)) => start = Bound::Excluded(last),
                _ => break,
            }
        }
    }
    looks
}

fn point(longitude: f64, latitude: f64) -> Datum {
    point_datum(LonLat { longitude, latitude }).expect("finite")
}

#[test]
fn a_document_with_many_geometries_is_read_and_evaluated_once() {
    let mut fed = Fed::new();
    fed.create_index(1, "places", true);
    fed.finish_indexes();
    let places: Vec<Datum> =
        (0..2_000).map(|number| point(f64::from(number % 50) / 50.0, f64::from(number) / 2_000.0)).collect();
    fed.put(1, Datum::from("x".repeat(1 << 20).as_str()), places.clone());
    let looks = looks(&fed, "places", 100);
    let rows: Vec<&(Bytes, Datum)> = looks.iter().flatten().collect();
    let found: HashSet<String> = rows.iter().map(|(_, value)| value.print()).collect();
    assert_eq!((rows.len(), found.len()), (2_000, 2_000));
    // All rows share the one copy that was read and evaluated.
    let copies: HashSet<*const u8> = rows.iter().map(|(document, _)| document.as_ptr()).collect();
    assert_eq!(copies.len(), 1);
    // What was kept is not given when the document is another.
    fed.put(1, Datum::Null, places[..3].to_vec());
    assert_eq!(self::looks(&fed, "places", 100).iter().flatten().count(), 3);
}

#[test]
fn a_look_reads_few_large_documents() {
    let mut fed = Fed::new();
    fed.create_index(1, "places", true);
    fed.finish_indexes();
    for id in 0..40u32 {
        let at = point(f64::from(id) / 40.0, 0.0);
        fed.put(u64::from(id), Datum::from("x".repeat(1 << 20).as_str()), vec![at.clone(), at]);
    }
    let looks = looks(&fed, "places", 1_000);
    assert_eq!(looks.iter().map(Vec::len).sum::<usize>(), 80);
    // Four mebibytes of documents, and one more, each with two rows.
    assert!(looks.iter().all(|look| look.len() <= 12), "{:?}", looks.iter().map(Vec::len).collect::<Vec<_>>());
}

/// A polygon with so many holes, each a small square.
fn sieve(holes: u32) -> Datum {
    let ring = |x: f64, y: f64, side: f64| {
        let corners = [(x, y), (x + side, y), (x + side, y + side), (x, y + side), (x, y)];
        Datum::from(corners.map(|(x, y)| Datum::from(vec![Datum::Number(x), Datum::Number(y)])).to_vec())
    };
    let hole = |number: u32| ring(0.1 + f64::from(number % 64) * 0.01, 0.1 + f64::from(number / 64) * 0.01, 0.005);
    let rings: Vec<Datum> = std::iter::once(ring(0.0, 0.0, 2.0)).chain((0..holes).map(hole)).collect();
    geometry("Polygon", Datum::from(rings))
}

#[test]
fn a_geometry_past_the_limit_is_stored_and_not_indexed() {
    let mut fed = Fed::new();
    fed.create_index(1, "place", false);
    fed.finish_indexes();
    let entries = |fed: &Fed| fed.shard.read().expect("reads").count_index("place", &KeyBounds::all()).expect("counts");
    fed.put(1, sieve(1_023), Vec::new());
    let at_the_limit = entries(&fed);
    assert!((1..=8).contains(&at_the_limit));
    fed.put(1, sieve(1_024), Vec::new());
    assert_eq!(entries(&fed), 0);
    assert!(fed.shard.read().expect("reads").get(&key(1)).expect("reads").is_some());
    fed.put(1, sieve(1_023), Vec::new());
    assert_eq!(entries(&fed), at_the_limit);
    // What stays as it is keeps its entries, too.
    fed.put(1, sieve(1_023), vec![Datum::Null]);
    assert_eq!(entries(&fed), at_the_limit);
}

/// Whatever is put, applying it takes time in proportion to its size.
#[test]
fn a_write_of_a_huge_tangle_is_applied_in_bounded_time() {
    let mut fed = Fed::new();
    fed.create_index(1, "place", false);
    fed.finish_indexes();
    let teeth = |count: u32| {
        let corner = |number: u32| {
            let angle = std::f64::consts::TAU * f64::from(number % count) / f64::from(count);
            let radius = if number.is_multiple_of(2) { 1.0 } else { 0.001 };
            Datum::from(vec![Datum::Number(radius * angle.cos()), Datum::Number(radius * angle.sin())])
        };
        Datum::from((0..=count).map(corner).collect::<Vec<_>>())
    };
    let tangle = geometry("Polygon", Datum::from(vec![teeth(90_000); 4]));
    let begin = std::time::Instant::now();
    fed.put(1, tangle, Vec::new());
    fed.put(1, Datum::Null, Vec::new());
    assert!(begin.elapsed().as_secs() < 10, "{:?}", begin.elapsed());
    assert_eq!(fed.shard.read().expect("reads").count_index("place", &KeyBounds::all()).expect("counts"), 0);
}
