//! The encoder: a tree as a file that reads back as the same tree.

use std::fmt;

use crate::line::{self, MAX_LINE, Value};
use crate::tree::{Relation, Section, Tree};

/// Why a tree cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The relation does not fit a line of [`MAX_LINE`] octets, and there are no continuation lines.
    #[error("the value of \"{name}\" needs {octets} octets, and a line has no more than {MAX_LINE}")]
    LineTooLong {
        /// The relation's name, made printable.
        name: String,
        /// What its line would take.
        octets: usize,
    },
}

impl Tree {
    /// Writes the tree as one file, in the order in which libprofile writes: relations before subsections, each sorted
    /// by name. Comments and include directives are gone; everything that a query can see is kept.
    ///
    /// Values are quoted where the bare text would read back otherwise. Read back under the same
    /// [`FinalRule`](crate::FinalRule), the text gives the same tree.
    ///
    /// # Errors
    ///
    /// [`WriteError::LineTooLong`]; the file is not written in part.
    pub fn to_octets(&self) -> Result<Vec<u8>, WriteError> {
        let mut out = Vec::new();
        for section in self.root().sections() {
            out.push(b'[');
            out.extend_from_slice(section.name());
            out.extend_from_slice(if section.is_final() { b"]*\n" } else { b"]\n" });
            body(section, &mut out)?;
            out.push(b'\n');
        }
        Ok(out)
    }
}

impl fmt::Display for Relation {
    /// `name = value`, as it could stand in a file; what is not UTF-8 is shown as U+FFFD.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&line_of(self, " = ")))
    }
}

/// The content of a section. A list of what is still to be done stands in for recursion: depth is the file's choice.
fn body(section: Section<'_>, out: &mut Vec<u8>) -> Result<(), WriteError> {
    relations(section, 1, out)?;
    let mut tasks = open_all(section, 1);
    while let Some(task) = tasks.pop() {
        match task {
            Task::Open(section, level) => {
                indent(level, out);
                out.extend_from_slice(section.name());
                // The mark stands at the tag: a name may be empty only with it.
                out.extend_from_slice(if section.is_final() { b"* = {\n" } else { b" = {\n" });
                let inner = level.saturating_add(1);
                relations(section, inner, out)?;
                tasks.push(Task::Close(level));
                tasks.extend(open_all(section, inner));
            }
            Task::Close(level) => {
                indent(level, out);
                out.extend_from_slice(b"}\n");
            }
        }
    }
    Ok(())
}

enum Task<'a> {
    Open(Section<'a>, usize),
    Close(usize),
}

/// The subsections, last one first: tasks are taken from the end.
fn open_all(section: Section<'_>, level: usize) -> Vec<Task<'_>> {
    let mut tasks: Vec<_> = section.sections().map(|child| Task::Open(child, level)).collect();
    tasks.reverse();
    tasks
}

fn relations(section: Section<'_>, level: usize, out: &mut Vec<u8>) -> Result<(), WriteError> {
    for relation in section.relations() {
        let pretty = line_of(relation, " = ");
        let fits = |octets: usize| octets <= MAX_LINE.saturating_sub(1);
        if fits(pretty.len().saturating_add(level.min(MAX_INDENT))) {
            indent(level, out);
            out.extend_from_slice(&pretty);
        } else {
            // One blank keeps a tag like "include" from being a directive.
            let dense = [b" ".as_slice(), &line_of(relation, "=")].concat();
            if !fits(dense.len()) {
                let name = crate::text(relation.name());
                return Err(WriteError::LineTooLong {
                    name,
                    octets: dense.len().saturating_add(1),
                });
            }
            out.extend_from_slice(&dense);
        }
        out.push(b'\n');
    }
    Ok(())
}

/// Deep levels share one indentation: it is for the eye, and lines have an end.
const MAX_INDENT: usize = 16;

fn indent(level: usize, out: &mut Vec<u8>) {
    out.extend(std::iter::repeat_n(b'\t', level.min(MAX_INDENT)));
}

fn line_of(relation: &Relation, equals: &str) -> Vec<u8> {
    let star: &[u8] = if relation.is_final() { b"*" } else { b"" };
    let mut octets = [relation.name(), star, equals.as_bytes()].concat();
    if reads_back(relation.value()) {
        octets.extend_from_slice(relation.value());
        return octets;
    }
    octets.push(b'"');
    for octet in relation.value() {
        match octet {
            b'\n' => octets.extend_from_slice(br"\n"),
            b'\t' => octets.extend_from_slice(br"\t"),
            0x08 => octets.extend_from_slice(br"\b"),
            b'"' | b'\\' => octets.extend_from_slice(&[b'\\', *octet]),
            other => octets.push(*other),
        }
    }
    octets.push(b'"');
    octets
}

/// Whether the bare value, written after the equals sign, is read as itself.
fn reads_back(value: &[u8]) -> bool {
    let as_line = [b"t=", value].concat();
    let one_piece = !value.contains(&b'\n');
    let read = line::relation(line::strip_line_end(&as_line)).map(|tagged| tagged.value);
    one_piece && matches!(read, Some(Value::Text(read)) if read == value)
}
