//! Where in a query an error arose: a number per term, and the path of frames from the root that it stands for.

use crate::datum::json::write_string;
use crate::datum::{Datum, Str};

/// A term of one query, for errors. Meaningful only together with that query's [`Registry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BacktraceId(u32);

impl BacktraceId {
    /// No place in particular: renders as the empty path.
    pub const NONE: BacktraceId = BacktraceId(u32::MAX);

    /// The term at the root.
    pub const ROOT: BacktraceId = BacktraceId(0);

    pub const fn new(number: u32) -> BacktraceId {
        BacktraceId(number)
    }

    pub const fn number(self) -> u32 {
        self.0
    }
}

/// One step from a term to a term inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The position among the arguments.
    Arg(u32),
    Optarg(Str),
}

/// Every term of a query by its id: the parent, and the step down from there.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    terms: Vec<(BacktraceId, Frame)>,
}

impl Registry {
    pub fn new() -> Registry {
        Registry::default()
    }

    /// Gives the next id to a term inside `parent`; the root's parent is [`BacktraceId::NONE`].
    pub fn add(&mut self, parent: BacktraceId, frame: Frame) -> BacktraceId {
        let Ok(number) = u32::try_from(self.terms.len()) else { return parent };
        self.terms.push((parent, frame));
        BacktraceId(number)
    }

    /// Forgets the ids that came after `id`: its term became one constant.
    pub fn forget_below(&mut self, id: BacktraceId) {
        self.terms.truncate((id.0 as usize).saturating_add(1));
    }

    pub fn len(&self) -> usize {
        self.terms.len()
    }

    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The steps from the root down to a term.
    pub fn frames(&self, id: BacktraceId) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut at = id;
        while let Some((parent, frame)) = self.terms.get(at.0 as usize) {
            if *parent == BacktraceId::NONE {
                break;
            }
            frames.push(frame.clone());
            at = *parent;
        }
        frames.reverse();
        frames
    }

    /// Appends the `b` of a response: `[0,"index",1]`.
    pub fn write_json(&self, id: BacktraceId, out: &mut Vec<u8>) {
        write_frames(&self.frames(id), out);
    }
}

/// Appends frames as a JSON array.
pub fn write_frames(frames: &[Frame], out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, frame) in frames.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match frame {
            Frame::Arg(position) => out.extend_from_slice(position.to_string().as_bytes()),
            Frame::Optarg(name) => write_string(name.as_bytes(), out),
        }
    }
    out.push(b']');
}

impl From<&Frame> for Datum {
    fn from(frame: &Frame) -> Datum {
        match frame {
            Frame::Arg(position) => Datum::from(*position),
            Frame::Optarg(name) => Datum::String(name.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_from_the_root() {
        let mut registry = Registry::new();
        let root = registry.add(BacktraceId::NONE, Frame::Arg(0));
        let second = registry.add(root, Frame::Arg(1));
        let named = registry.add(second, Frame::Optarg(Str::from("index")));
        let json = |id| {
            let mut out = Vec::new();
            registry.write_json(id, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(json(root), "[]");
        assert_eq!(json(named), "[1,\"index\"]");
        assert_eq!(json(BacktraceId::NONE), "[]");
        assert_eq!(json(BacktraceId::new(77)), "[]");
    }
}
