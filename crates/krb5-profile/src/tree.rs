//! What one file of the search path says, its includes included: sections, subsections, relations.
//!
//! Sections live in one vector and name each other by number: a file of a million open braces is no deep recursion,
//! neither when it is walked nor when it is dropped.

use std::collections::BTreeMap;

use crate::error::Position;

/// What `*` (final) means; it changed with krb5 1.22.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FinalRule {
    /// Up to 1.21: a final section or subsection ends the search after its file; a final relation means nothing.
    Before1_22,
    /// Since 1.22: what is final also takes no further content from later lines, and a final relation ends the
    /// search after its file, too.
    Since1_22,
}

/// `tag = value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    pub(crate) name: Vec<u8>,
    pub(crate) value: Vec<u8>,
    pub(crate) is_final: bool,
    pub(crate) at: Position,
}

impl Relation {
    /// The tag, without a mark of finality.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The value, unquoted. It holds no NUL; it is not always UTF-8.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// Whether the tag is marked `*`.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.is_final
    }

    /// Where the relation stands.
    #[must_use]
    pub fn position(&self) -> &Position {
        &self.at
    }
}

/// Everything that one file of the search path contributes.
#[derive(Clone, Debug)]
pub struct Tree {
    root: SectionData,
    sections: Vec<SectionData>,
}

/// A section or subsection of a [`Tree`].
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    tree: &'a Tree,
    data: &'a SectionData,
}

/// Zero is the root, any other number a place in `Tree::sections`, counted from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SectionId(usize);

#[derive(Clone, Debug)]
struct SectionData {
    name: Vec<u8>,
    is_final: bool,
    parent: SectionId,
    at: Position,
    /// Sorted as `strcmp` sorts; relations and subsections of one name stand side by side.
    children: BTreeMap<Vec<u8>, Children>,
}

#[derive(Clone, Debug, Default)]
struct Children {
    relations: Vec<Relation>,
    section: Option<SectionId>,
    /// How many of the relations stand before the line that opens the section first.
    before_section: usize,
}

/// One thing that a section holds.
#[derive(Clone, Copy, Debug)]
pub enum Child<'a> {
    /// `tag = value`.
    Relation(&'a Relation),
    /// A subsection.
    Section(Section<'a>),
}

impl<'a> Child<'a> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'a [u8] {
        match self {
            Self::Relation(relation) => relation.name(),
            Self::Section(section) => section.name(),
        }
    }

    /// Whether it is marked `*`.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Relation(relation) => relation.is_final(),
            Self::Section(section) => section.is_final(),
        }
    }
}

impl<'a> Section<'a> {
    /// The name. The root of a tree has an empty one.
    #[must_use]
    pub fn name(&self) -> &'a [u8] {
        &self.data.name
    }

    /// Whether it is marked `*`.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.data.is_final
    }

    /// Where it is opened first; for the root, line 0 of the file.
    #[must_use]
    pub fn position(&self) -> &'a Position {
        &self.data.at
    }

    /// Relations, sorted by name; those of one name in the order of the file.
    pub fn relations(&self) -> impl Iterator<Item = &'a Relation> + use<'a> {
        self.data
            .children
            .values()
            .flat_map(|children| &children.relations)
    }

    /// Subsections, sorted by name.
    pub fn sections(&self) -> impl Iterator<Item = Section<'a>> + use<'a> {
        let tree = self.tree;
        self.data
            .children
            .values()
            .filter_map(|children| children.section)
            .filter_map(|id| tree.section(id))
    }

    /// Relations and subsections, sorted by name; those of one name in the order of the file, where a subsection stands
    /// at the line that opens it first.
    pub fn children(&self) -> impl Iterator<Item = Child<'a>> + use<'a> {
        let tree = self.tree;
        self.data.children.values().flat_map(move |children| {
            let (before, after) = children
                .relations
                .split_at_checked(children.before_section)
                .unwrap_or((&children.relations, &[]));
            let section = children.section.and_then(|id| tree.section(id));
            let before = before.iter().map(Child::Relation);
            before
                .chain(section.map(Child::Section))
                .chain(after.iter().map(Child::Relation))
        })
    }

    /// The subsection called `name`.
    #[must_use]
    pub fn section(&self, name: &[u8]) -> Option<Section<'a>> {
        self.data
            .children
            .get(name)?
            .section
            .and_then(|id| self.tree.section(id))
    }

    /// The relations called `name`, in the order of the file.
    #[must_use]
    pub fn relations_named(&self, name: &[u8]) -> &'a [Relation] {
        self.data
            .children
            .get(name)
            .map_or(&[], |children| &children.relations)
    }
}

impl Tree {
    /// The root, whose subsections are the `[sections]` of the file.
    #[must_use]
    pub fn root(&self) -> Section<'_> {
        Section {
            tree: self,
            data: &self.root,
        }
    }

    pub(crate) const ROOT: SectionId = SectionId(0);

    pub(crate) fn new(at: Position) -> Self {
        Self {
            root: SectionData::new(Vec::new(), Self::ROOT, at),
            sections: Vec::new(),
        }
    }

    /// Opens the subsection `name` of `parent`, which may exist already.
    ///
    /// Where a final one exists since 1.22, the result is a section that no query finds: its content is discarded.
    pub(crate) fn open(
        &mut self,
        parent: SectionId,
        name: &[u8],
        at: Position,
        rule: FinalRule,
    ) -> SectionId {
        let existing = self.get(parent).and_then(|data| data.children.get(name)?.section);
        let is_final = existing
            .and_then(|id| self.get(id))
            .is_some_and(|data| data.is_final);
        let discard = rule == FinalRule::Since1_22 && is_final;
        if let Some(id) = existing.filter(|_| !discard) {
            return id;
        }
        self.sections.push(SectionData::new(name.to_vec(), parent, at));
        let id = SectionId(self.sections.len());
        if !discard && let Some(data) = self.get_mut(parent) {
            let children = data.children.entry(name.to_vec()).or_default();
            children.section = Some(id);
            children.before_section = children.relations.len();
        }
        id
    }

    pub(crate) fn mark_final(&mut self, section: SectionId) {
        if let Some(data) = self.get_mut(section) {
            data.is_final = true;
        }
    }

    pub(crate) fn parent(&self, section: SectionId) -> SectionId {
        self.get(section).map_or(Self::ROOT, |data| data.parent)
    }

    pub(crate) fn add(&mut self, section: SectionId, relation: Relation, rule: FinalRule) {
        let Some(data) = self.get_mut(section) else { return };
        let relations = &mut data.children.entry(relation.name.clone()).or_default().relations;
        // Since 1.22 a final relation is the last of its name: it keeps the values before it and takes none after.
        if rule == FinalRule::Before1_22 || !relations.last().is_some_and(Relation::is_final) {
            relations.push(relation);
        }
    }

    fn section(&self, id: SectionId) -> Option<Section<'_>> {
        self.get(id).map(|data| Section { tree: self, data })
    }

    fn get(&self, SectionId(number): SectionId) -> Option<&SectionData> {
        number
            .checked_sub(1)
            .map_or(Some(&self.root), |index| self.sections.get(index))
    }

    fn get_mut(&mut self, SectionId(number): SectionId) -> Option<&mut SectionData> {
        match number.checked_sub(1) {
            None => Some(&mut self.root),
            Some(index) => self.sections.get_mut(index),
        }
    }
}

impl SectionData {
    fn new(name: Vec<u8>, parent: SectionId, at: Position) -> Self {
        Self {
            name,
            is_final: false,
            parent,
            at,
            children: BTreeMap::new(),
        }
    }
}
