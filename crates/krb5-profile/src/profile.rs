//! Several files as one: queries in the order of the search path.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use crate::error::{ConfigError, ValueError, text};
use crate::files::FileAccess;
use crate::parse::{parse, parse_octets};
use crate::tree::{Child, FinalRule, Relation, Section, Tree};
use crate::value::{boolean, integer};

/// The files of a search path, merged: `krb5.conf`, or `kdc.conf` before `krb5.conf`.
///
/// A query names sections from the outside in, the wanted name last. Values come in the order of the files and, within a
/// file, of its lines; the first one counts where one is wanted.
#[derive(Clone, Debug)]
pub struct Profile {
    trees: Vec<Tree>,
    rule: FinalRule,
}

impl Profile {
    /// Reads every file of `paths` (see [`search_path`](crate::search_path)); an entry may be a directory.
    ///
    /// What is missing is skipped, and so is what may not be read as long as another file may; if no file is there, the
    /// profile is empty, as libkrb5 has it.
    ///
    /// # Errors
    ///
    /// Any mistake in any file, and a file that cannot be read for another reason than that it is missing.
    pub fn load<P: AsRef<Path>>(
        paths: impl IntoIterator<Item = P>,
        files: &impl FileAccess,
        rule: FinalRule,
    ) -> Result<Self, ConfigError> {
        let (mut trees, mut denied) = (Vec::new(), None);
        for path in paths {
            let path = path.as_ref();
            let failure = match parse(path, files, rule) {
                Ok(tree) => {
                    trees.push(tree?);
                    continue;
                }
                Err(error) => ConfigError::Read {
                    path: path.to_owned(),
                    kind: error.kind(),
                },
            };
            match failure {
                ConfigError::Read {
                    kind: io::ErrorKind::NotFound,
                    ..
                } => {}
                ConfigError::Read {
                    kind: io::ErrorKind::PermissionDenied,
                    ..
                } => {
                    denied = denied.or(Some(failure));
                }
                _ => return Err(failure),
            }
        }
        match denied {
            Some(failure) if trees.is_empty() => Err(failure),
            _ => Ok(Self { trees, rule }),
        }
    }

    /// Reads the text of one file that includes no others; `name` is what positions call it.
    ///
    /// # Errors
    ///
    /// Any mistake in the text. An include directive is one.
    pub fn parse(name: impl AsRef<Path>, octets: &[u8], rule: FinalRule) -> Result<Self, ConfigError> {
        Ok(Self {
            trees: vec![parse_octets(name.as_ref(), octets, rule)?],
            rule,
        })
    }

    /// What each file of the search path says, missing ones left out.
    #[must_use]
    pub fn trees(&self) -> &[Tree] {
        &self.trees
    }

    /// The relations of that name, in order, over all files (`profile_get_values`).
    pub fn relations<N: AsRef<[u8]>>(&self, path: impl AsRef<[N]>) -> Vec<&Relation> {
        let Some((name, sections)) = path.as_ref().split_last() else {
            return Vec::new();
        };
        let mut relations = Vec::new();
        self.walk(sections, |section| {
            let found = section.relations_named(name.as_ref());
            relations.extend(found);
            let named = section.section(name.as_ref());
            found.iter().any(Relation::is_final) || named.is_some_and(|section| section.is_final())
        });
        relations
    }

    /// The relation that counts where one value is wanted: the first (`profile_get_value`).
    pub fn relation<N: AsRef<[u8]>>(&self, path: impl AsRef<[N]>) -> Option<&Relation> {
        self.relations(path).first().copied()
    }

    /// The value that counts where one is wanted (`profile_get_string`).
    pub fn value<N: AsRef<[u8]>>(&self, path: impl AsRef<[N]>) -> Option<&[u8]> {
        self.relation(path).map(Relation::value)
    }

    /// The first value as a boolean (`profile_get_boolean`).
    ///
    /// # Errors
    ///
    /// [`ValueError::Boolean`] if it is none.
    pub fn boolean<N: AsRef<[u8]>>(&self, path: impl AsRef<[N]>) -> Result<Option<bool>, ValueError> {
        self.typed(path, boolean, |at, value| ValueError::Boolean { at, value })
    }

    /// The first value as a C `int` (`profile_get_integer`).
    ///
    /// # Errors
    ///
    /// [`ValueError::Integer`] if it is none.
    pub fn integer<N: AsRef<[u8]>>(&self, path: impl AsRef<[N]>) -> Result<Option<i32>, ValueError> {
        self.typed(path, integer, |at, value| ValueError::Integer { at, value })
    }

    /// The subsections of a section, over all files (`profile_get_subsection_names`).
    ///
    /// Within a file they come sorted by name; a name that stands in two files comes twice.
    pub fn subsections<N: AsRef<[u8]>>(&self, path: impl AsRef<[N]>) -> Vec<Section<'_>> {
        let mut sections = Vec::new();
        self.walk(path.as_ref(), |section| {
            sections.extend(section.sections());
            // The walk looks at every child here, so that any final one ends it.
            section.relations().any(Relation::is_final) || section.sections().any(|child| child.is_final())
        });
        sections
    }

    /// What a section holds, over all files (`profile_iterator` with `PROFILE_ITER_LIST_SECTION`).
    ///
    /// Within a file, relations and subsections come sorted by name. A subsection that stands in two files comes twice.
    pub fn children<N: AsRef<[u8]>>(&self, path: impl AsRef<[N]>) -> Vec<Child<'_>> {
        let mut children = Vec::new();
        self.walk(path.as_ref(), |section| {
            let before = children.len();
            children.extend(section.children());
            children.iter().skip(before).any(Child::is_final)
        });
        children
    }

    /// The names of the relations of a section, over all files, each once (`profile_get_relation_names`).
    pub fn relation_names<N: AsRef<[u8]>>(&self, path: impl AsRef<[N]>) -> Vec<&[u8]> {
        let (mut names, mut seen) = (Vec::new(), BTreeSet::new());
        self.walk(path.as_ref(), |section| {
            names.extend(
                section
                    .relations()
                    .map(Relation::name)
                    .filter(|name| seen.insert(*name)),
            );
            section.relations().any(Relation::is_final) || section.sections().any(|child| child.is_final())
        });
        names
    }

    /// Visits the section at `path` in every file, until a file says that what it holds is final. `visit` returns
    /// whether a final node was among those it looked at; that counts since 1.22.
    fn walk<'a, N: AsRef<[u8]>>(&'a self, path: &[N], mut visit: impl FnMut(Section<'a>) -> bool) {
        for tree in &self.trees {
            let (mut section, mut is_final) = (Some(tree.root()), false);
            for name in path {
                section = section.and_then(|section| section.section(name.as_ref()));
                is_final |= section.is_some_and(|section| section.is_final());
            }
            if let Some(section) = section {
                let final_node = visit(section);
                is_final |= final_node && self.rule == FinalRule::Since1_22;
            }
            if is_final {
                return;
            }
        }
    }

    fn typed<T, N: AsRef<[u8]>>(
        &self,
        path: impl AsRef<[N]>,
        read: impl FnOnce(&[u8]) -> Option<T>,
        refuse: impl FnOnce(crate::Position, String) -> ValueError,
    ) -> Result<Option<T>, ValueError> {
        let Some(relation) = self.relation(path) else {
            return Ok(None);
        };
        match read(relation.value()) {
            Some(value) => Ok(Some(value)),
            None => Err(refuse(relation.position().clone(), text(relation.value()))),
        }
    }
}
