//! What is aimed at, each as a ratio within one run, and whether this run met it.

use super::table::{Figures, OURS, short};

/// One goal: what is measured, the figure, the bound, and on which side of it the figure should be.
struct Goal {
    what: String,
    figure: Option<f64>,
    bound: f64,
    at_least: bool,
}

fn at_least(what: impl Into<String>, bound: f64, figure: Option<f64>) -> Goal {
    Goal { what: what.into(), figure, bound, at_least: true }
}

fn at_most(what: impl Into<String>, bound: f64, figure: Option<f64>) -> Goal {
    Goal { what: what.into(), figure, bound, at_least: false }
}

/// One line a goal; a goal whose peer did not run is left out.
pub fn report(figures: &Figures) -> String {
    let mut text = format!("{:<62}{:>10}{:>12}\n", "goal", "figure", "bound");
    for goal in goals(figures) {
        let Some(figure) = goal.figure else { continue };
        let (sign, met) = if goal.at_least { (">=", figure >= goal.bound) } else { ("<=", figure <= goal.bound) };
        let verdict = if met { "met" } else { "MISSED" };
        text.push_str(&format!("{:<62}{:>10}{sign:>5}{:>7}  {verdict}\n", goal.what, short(figure), short(goal.bound)));
    }
    text
}

fn goals(figures: &Figures) -> Vec<Goal> {
    let ours = |pointer: &str| figures.engine(OURS, pointer);
    let against = |peer: &str, pointer: &str| Some(ours(pointer)? / figures.engine(peer, pointer)?);
    let extra = |pointer: &str| figures.extra(pointer);
    let mut goals = vec![
        at_least("random get against redb", 1.0, against("redb", "/gets_s")),
        at_least("random get against LMDB (aim)", 1.0, against("lmdb", "/gets_s")),
        at_most("  p50 of a get against redb's", 1.0, against("redb", "/get/p50_us")),
        at_most("  p50 of a get against LMDB's (aim)", 1.0, against("lmdb", "/get/p50_us")),
        at_least("puts in groups of 1000 against redb", 2.5, against("redb", "/group1000/puts_s")),
        at_least("puts in groups of 1000 against fjall (aim)", 1.0, against("fjall", "/group1000/puts_s")),
        at_most("one synced put against the bare fdatasync, p50", 1.5, extra("/single/ratio")),
        at_most("CPU per put in groups of 100 against fjall", 2.0, against("fjall", "/group100/cpu_us_per_put")),
        at_least("full scan against redb", 0.5, against("redb", "/scan_rows_s")),
        at_least("full scan against LMDB", 0.5, against("lmdb", "/scan_rows_s")),
        at_least("full scan against redb (aim)", 1.0, against("redb", "/scan_rows_s")),
    ];
    for range in ["all", "half", "tenth", "hundredth", "thousandth"] {
        let figure = extra(&format!("/counts/{range}/ratio"));
        goals.push(at_least(format!("count of a range against its scan: {range} of the rows"), 1000.0, figure));
    }
    let replayed = ours("/reopen_after_kill9/replayed_mb");
    let allowed = replayed.map(|megabytes| 100.0 + megabytes / 200.0 * 1000.0);
    goals.extend([
        at_most("open after kill -9, ms, without re-applying", 100.0, ours("/reopen_after_kill9/engine_open_ms")),
        at_least("  re-applying, MB/s", 200.0, ours("/reopen_after_kill9/replay_mb_s")),
        at_most("  both together, ms", allowed.unwrap_or_default(), ours("/reopen_after_kill9/open_ms")),
        at_most("space at rest after load", 1.3, extra("/space_load_rest/all")),
        at_most("  of it pages", 1.3, extra("/space_load_rest/pages")),
        at_most(
            "space during churn, largest",
            extra("/space_churn/bound_max").unwrap_or_default(),
            extra("/space_churn/max/all"),
        ),
        at_most(
            "  of it pages, largest",
            extra("/space_churn/bound_max").unwrap_or_default(),
            extra("/space_churn/max/pages"),
        ),
        at_most("space at rest after churn", 1.5, extra("/space_churn_rest/all")),
        at_most("  of it pages", 1.5, extra("/space_churn_rest/pages")),
        at_most("space at rest, documents, LZ4", 1.0, extra("/compressible/all")),
        at_most("  of it pages", 1.0, extra("/compressible/pages")),
        at_least("eight readers beside a writer against an idle one", 0.8, extra("/readers/kept")),
        at_least("  the same per CPU second of the readers", 0.8, extra("/readers/kept_per_cpu")),
        at_most("a group of 100 during churn, p99.9 us", 10_000.0, extra("/space_churn/groups_of_100/p999_us")),
    ]);
    goals
}
