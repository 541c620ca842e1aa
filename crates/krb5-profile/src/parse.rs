//! From files to a [`Tree`]: the states of a file, and its include directives.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{ConfigError, Position};
use crate::files::FileAccess;
use crate::line::{self, Directive, Value};
use crate::tree::{FinalRule, Relation, SectionId, Tree};

/// How deeply files may include each other. MIT krb5 stops when it has no descriptor left.
pub const MAX_INCLUDE_DEPTH: usize = 32;

/// How many files one entry of the search path may read, so that files that include each other twice do not take
/// exponential time.
pub const MAX_FILES: usize = 4096;

/// How many octets one file may have.
pub const MAX_FILE_OCTETS: usize = 16 << 20;

/// Parses the file at `path`, or every file of the directory at `path`, with all that they include.
///
/// The outer error says that `path` itself cannot be opened: the search path skips what is missing.
pub(crate) fn parse(
    path: &Path,
    files: &impl FileAccess,
    rule: FinalRule,
) -> std::io::Result<Result<Tree, ConfigError>> {
    let at = Position::new(path, 0);
    let mut reader = Reader {
        files,
        rule,
        tree: Tree::new(at.clone()),
        files_left: MAX_FILES,
    };
    let result = if files.is_directory(path) {
        let names = files.list(path)?;
        reader.include_names(path, names, &at, 0)
    } else {
        let octets = files.read(path)?;
        reader.file(path, &octets, 0)
    };
    Ok(result.map(|()| reader.tree))
}

/// Parses `octets` alone; an include directive is an error, because there are no files.
pub(crate) fn parse_octets(name: &Path, octets: &[u8], rule: FinalRule) -> Result<Tree, ConfigError> {
    let files = crate::files::MemoryFiles::default();
    let mut reader = Reader {
        files: &files,
        rule,
        tree: Tree::new(Position::new(name, 0)),
        files_left: MAX_FILES,
    };
    reader.file(name, octets, 0)?;
    Ok(reader.tree)
}

struct Reader<'a, F> {
    files: &'a F,
    rule: FinalRule,
    tree: Tree,
    files_left: usize,
}

/// What the next line of a file may be.
#[derive(Clone, Copy)]
enum State {
    /// Before the first section header: everything but a directive and a header in the first column is ignored.
    Preamble,
    /// In `section`, below `level` open braces.
    Normal { section: SectionId, level: usize },
    /// As `Normal`, after `tag =` with no value: the next line must begin with a brace.
    ExpectingBrace { section: SectionId, level: usize },
}

impl<F: FileAccess> Reader<'_, F> {
    /// An included file shares the tree and nothing else: it begins before its first section again.
    fn file(&mut self, path: &Path, octets: &[u8], depth: usize) -> Result<(), ConfigError> {
        let name: Arc<Path> = Arc::from(path);
        let mut state = State::Preamble;
        for (number, piece) in line::pieces(octets) {
            let at = Position::new(Arc::clone(&name), number);
            state = match (line::directive(piece), state) {
                (Some(Directive::Include(file)), _) => {
                    self.include_file(&to_path(file), &at, depth)?;
                    state
                }
                (Some(Directive::IncludeDirectory(directory)), _) => {
                    self.include_directory(&to_path(directory), &at, depth)?;
                    state
                }
                (Some(Directive::Module), State::Preamble) => return Err(ConfigError::Module(at)),
                (_, State::Preamble) if !piece.starts_with(b"[") => state,
                (_, State::Preamble) => self.line(piece, Tree::ROOT, 0, at)?,
                (_, State::Normal { section, level }) => self.line(piece, section, level, at)?,
                (_, State::ExpectingBrace { section, level }) => {
                    if !line::skip_blanks(piece).starts_with(b"{") {
                        return Err(ConfigError::MissingOpeningBrace(at));
                    }
                    State::Normal { section, level }
                }
            };
        }
        Ok(())
    }

    fn line(
        &mut self,
        piece: &[u8],
        section: SectionId,
        level: usize,
        at: Position,
    ) -> Result<State, ConfigError> {
        let text = line::strip_line_end(line::skip_blanks(piece));
        match text.first() {
            None | Some(b';' | b'#') => Ok(State::Normal { section, level }),
            Some(b'[') if level > 0 => Err(ConfigError::SectionNotTop(at)),
            Some(b'[') => {
                let Some((name, is_final)) = line::section_header(text) else {
                    return Err(ConfigError::SectionSyntax(at));
                };
                let section = self.tree.open(Tree::ROOT, name, at, self.rule);
                if is_final {
                    self.tree.mark_final(section);
                }
                Ok(State::Normal { section, level })
            }
            Some(b'}') => {
                let Some(level) = level.checked_sub(1) else {
                    return Err(ConfigError::ExtraClosingBrace(at));
                };
                if line::closing_brace(text) {
                    self.tree.mark_final(section);
                }
                Ok(State::Normal {
                    section: self.tree.parent(section),
                    level,
                })
            }
            Some(_) => self.relation(text, section, level, at),
        }
    }

    fn relation(
        &mut self,
        text: &[u8],
        section: SectionId,
        level: usize,
        at: Position,
    ) -> Result<State, ConfigError> {
        let Some(tagged) = line::relation(text) else {
            return Err(ConfigError::RelationSyntax(at));
        };
        let expecting_brace = match tagged.value {
            Value::Text(value) => {
                let (name, value) = (tagged.name.to_vec(), value.into_owned());
                let relation = Relation {
                    name,
                    value,
                    is_final: tagged.is_final,
                    at,
                };
                self.tree.add(section, relation, self.rule);
                return Ok(State::Normal { section, level });
            }
            Value::Brace => false,
            Value::Nothing => true,
        };
        let section = self.tree.open(section, tagged.name, at, self.rule);
        if tagged.is_final {
            self.tree.mark_final(section);
        }
        // A level is a line of a file of bounded size: this cannot overflow.
        let level = level.saturating_add(1);
        Ok(match expecting_brace {
            true => State::ExpectingBrace { section, level },
            false => State::Normal { section, level },
        })
    }

    fn include_file(&mut self, path: &Path, at: &Position, depth: usize) -> Result<(), ConfigError> {
        let limit = |limit| ConfigError::IncludeLimit {
            at: at.clone(),
            path: path.to_owned(),
            limit,
        };
        if depth >= MAX_INCLUDE_DEPTH {
            return Err(limit("the depth of 32 files"));
        }
        self.files_left = self
            .files_left
            .checked_sub(1)
            .ok_or_else(|| limit("the number of 4096 files"))?;
        let octets = self.files.read(path).map_err(|error| ConfigError::IncludeFile {
            at: at.clone(),
            path: path.to_owned(),
            kind: error.kind(),
        })?;
        self.file(path, &octets, depth.saturating_add(1))
    }

    fn include_directory(
        &mut self,
        directory: &Path,
        at: &Position,
        depth: usize,
    ) -> Result<(), ConfigError> {
        let names = self
            .files
            .list(directory)
            .map_err(|error| ConfigError::IncludeDirectory {
                at: at.clone(),
                path: directory.to_owned(),
                kind: error.kind(),
            })?;
        self.include_names(directory, names, at, depth)
    }

    fn include_names(
        &mut self,
        directory: &Path,
        mut names: Vec<std::ffi::OsString>,
        at: &Position,
        depth: usize,
    ) -> Result<(), ConfigError> {
        names.sort_by(|a, b| a.as_encoded_bytes().cmp(b.as_encoded_bytes()));
        for name in names.iter().filter(|name| is_included(name)) {
            self.include_file(&directory.join(name), at, depth)?;
        }
        Ok(())
    }
}

/// Whether `includedir` reads a file of this name: `.conf` files, and names of letters, digits, `-` and `_`. Backups of
/// editors and package managers are left out, and so is whatever begins with a dot.
fn is_included(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let is_plain = name
        .iter()
        .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'));
    !name.starts_with(b".") && (is_plain || name.ends_with(b".conf"))
}

/// The path that the octets of a value name.
///
/// ```
/// assert_eq!(krb5_profile::to_path(b"/etc/krb5.conf"), std::path::Path::new("/etc/krb5.conf"));
/// ```
#[cfg(unix)]
#[must_use]
pub fn to_path(octets: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    PathBuf::from(OsStr::from_bytes(octets))
}

/// The path that the octets of a value name; what is not UTF-8 is replaced.
#[cfg(not(unix))]
#[must_use]
pub fn to_path(octets: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(octets).into_owned())
}
