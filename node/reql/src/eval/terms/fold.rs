//! `fold`: a sequence reduced from the left with a start value, or, with `emit`, a sequence of what each step gives.

use smallvec::smallvec;

use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::eval::sequence::Reading;
use crate::eval::{Args, Batch, Cx, FeedKind, Func, Sequence, Shortcut, Stream, Value};

/// `fold`.
pub fn fold(args: &Args<'_>) -> Result<Value> {
    let cx = args.cx();
    let sequence = args.sequence(0)?;
    let mut state = args.datum(1)?;
    let step = args.function(2, Shortcut::None)?;
    if step.arity().is_some_and(|arity| arity != 0 && arity != 2) {
        return Err(Error::logic("The accumulator function passed to `fold` should expect 2 arguments"));
    }
    let emit = function(args, "emit")?;
    let last = function(args, "final_emit")?;
    sequence.check_ungrouped().map_err(|error| error.at(args.id(0)))?;
    let Some(emit) = emit else {
        sequence.check_finite().map_err(|error| error.at(args.id(0)))?;
        let mut held = 0;
        sequence.for_each_batch(cx, |batch| {
            for element in batch {
                state = step.call_datum_with(smallvec![std::mem::replace(&mut state, Datum::Null), element], cx)?;
                cx.hold_instead(&mut held, state.footprint())?;
            }
            Ok(Reading::On)
        })?;
        return match last {
            Some(last) => last.apply(state, cx).map(Value::Datum),
            None => Ok(state.into()),
        };
    };
    let array = sequence.is_eager();
    let stream = sequence.open(cx)?;
    let folding = Sequence::stream(Box::new(Folding { stream, state, held: 0, step, emit, last, ended: false }));
    if array { folding.read_array(cx).map(|array| Value::Datum(array.into())) } else { Ok(Value::Sequence(folding)) }
}

fn function(args: &Args<'_>, name: &str) -> Result<Option<Func>> {
    let Some(node) = args.optarg_node(name) else { return Ok(None) };
    let value = crate::eval::eval(node, args.scope(), args.cx())?;
    value.into_function(Shortcut::None, args.cx()).map(Some).map_err(|error| error.at(node.id()))
}

struct Folding {
    stream: Box<dyn Stream>,
    state: Datum,
    /// Bytes that are counted of it.
    held: usize,
    step: Func,
    emit: Func,
    last: Option<Func>,
    ended: bool,
}

impl Stream for Folding {
    fn next_batch(&mut self, want: usize, cx: &Cx) -> Result<Batch> {
        let mut out = Batch::new();
        while out.is_empty() && !self.ended {
            let batch = self.stream.next_batch(want, cx)?;
            if batch.is_empty() {
                self.ended = true;
                if let Some(last) = &self.last {
                    out.extend(emitted(last.apply(self.state.clone(), cx)?)?);
                }
            }
            for element in batch {
                let next = self.step.call_datum(&[self.state.clone(), element.clone()], cx)?;
                let given = self.emit.call_datum(&[self.state.clone(), element, next.clone()], cx)?;
                out.extend(emitted(given)?);
                cx.hold_instead(&mut self.held, next.footprint())?;
                self.state = next;
            }
        }
        Ok(out)
    }

    fn feed(&self) -> Option<FeedKind> {
        self.stream.feed()
    }

    fn infinite(&self) -> bool {
        self.stream.infinite()
    }
}

fn emitted(given: Datum) -> Result<Vec<Datum>> {
    match given {
        Datum::Array(items) => Ok(items.into_vec()),
        other => Err(Error::expected_type("ARRAY", &other)),
    }
}

#[cfg(test)]
mod tests {
    use crate::eval::terms::checked::check;

    #[test]
    fn with_and_without_emit() {
        let add = "[69,[[2,[1,2]],[24,[[10,[1]],[10,[2]]]]]]";
        let emit = "[69,[[2,[1,2,3]],[2,[[10,[3]]]]]]";
        let last = r#"[69,[[2,[1]],[2,["end"]]]]"#;
        check(&[
            (&format!("[187,[[2,[1,2,3]],0,{add}]]"), "6"),
            (&format!("[187,[[2,[]],5,{add}]]"), "5"),
            (&format!(r#"[187,[[2,[1,2,3]],0,{add}],{{"emit":{emit}}}]"#), "[1,3,6]"),
            (
                "[187,[[2,[]],0,[69,[[2,[1]],[10,[1]]]]]]",
                "QueryLogic: The accumulator function passed to `fold` should expect 2 arguments",
            ),
            (&format!(r#"[187,[[2,[1,2,3]],0,{add}],{{"emit":{emit},"final_emit":{last}}}]"#), r#"[1,3,6,"end"]"#),
            (&format!(r#"[71,[[187,[[173,[]],0,{add}],{{"emit":{emit}}}],3]]"#), "[0,1,3]"),
        ]);
    }

    #[test]
    fn groups_are_no_sequence_but_their_values_are() {
        let add = "[69,[[2,[1,2]],[24,[[10,[1]],1]]]]";
        let group = r#"[144,[[2,[{"a":1},{"a":2},{"a":1}]],"a"]]"#;
        check(&[
            (
                &format!("[187,[{group},0,{add}]]"),
                "QueryLogic: Cannot treat the output of `group` as a stream (did you mean to `ungroup`?).",
            ),
            (&format!("[187,[[71,[{group},9]],0,{add}]]"), r#"{"$reql_type$":"GROUPED_DATA","data":[[1,2],[2,1]]}"#),
        ]);
    }
}
