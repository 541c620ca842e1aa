//! The XML of a container as a tree: bounded, without entities, and every element with its place.

use quick_xml::XmlVersion;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;
use zeroize::Zeroizing;

use crate::Decoder;
use crate::error::{Position, Problem, PskcError, quote};
use crate::secret::SecretText;
use crate::uri::{DS, PKCS5, PSKC, XENC, XENC11};

/// Octets of the longest start tag: no element of PSKC comes near it.
const MAX_TAG: usize = 16 * 1024;
/// Attributes that any element may have, and that change nothing: hints for editors and the language of a text.
const HARMLESS_PREFIXES: [&str; 2] = ["xml", "xsi"];

/// An element, read whole.
#[derive(Debug)]
pub(crate) struct Element {
    name: Box<str>,
    /// Whether it is in none of the namespaces that containers are made of.
    foreign: bool,
    pub(crate) is_pskc: bool,
    pub(crate) at: Position,
    attributes: Vec<(Box<str>, String)>,
    children: Vec<Element>,
    text: SecretText,
}

impl Element {
    /// The name to look for. Empty for an element of a foreign namespace, so that it is never mistaken for another.
    ///
    /// The namespaces of containers define no name twice, and files, figures of RFC 6030 among them, mix them up: they
    /// count as one.
    pub(crate) fn name(&self) -> &str {
        if self.foreign { "" } else { &self.name }
    }

    pub(crate) fn error(&self, problem: Problem) -> PskcError {
        PskcError {
            at: self.at,
            element: Some(quote(&self.name).trim_matches('"').to_owned()),
            problem,
        }
    }

    pub(crate) fn unsupported(&self) -> PskcError {
        self.error(Problem::UnsupportedElement)
    }

    /// The elements inside of one that may have these attributes and no text.
    pub(crate) fn children(&self, attributes: &[&str]) -> Result<&[Self], PskcError> {
        self.check_attributes(attributes)?;
        if trim(self.text.as_str()).is_empty() {
            Ok(&self.children)
        } else {
            Err(self.error(Problem::Text))
        }
    }

    /// The text of an element without attributes and elements, without the white space around it.
    pub(crate) fn text(&self) -> Result<&str, PskcError> {
        self.check_attributes(&[])?;
        match self.children.first() {
            Some(child) => Err(child.unsupported()),
            None => Ok(trim(self.text.as_str())),
        }
    }

    /// As [`text`](Self::text), and not empty.
    pub(crate) fn filled_text(&self) -> Result<&str, PskcError> {
        self.text().and_then(|text| self.filled(text))
    }

    pub(crate) fn filled<'a>(&self, text: &'a str) -> Result<&'a str, PskcError> {
        if text.is_empty() {
            Err(self.error(Problem::Empty))
        } else {
            Ok(text)
        }
    }

    /// The value of an attribute, without the white space around it.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        let (_, value) = self.attributes.iter().find(|(known, _)| **known == *name)?;
        Some(trim(value))
    }

    /// Whether there is nothing in the element, attributes included.
    pub(crate) fn is_empty(&self) -> bool {
        self.attributes.is_empty() && self.children.is_empty() && trim(self.text.as_str()).is_empty()
    }

    fn check_attributes(&self, known: &[&str]) -> Result<(), PskcError> {
        match self.attributes.iter().find(|(name, _)| !known.contains(&&**name)) {
            Some((name, _)) => Err(self.error(Problem::UnsupportedAttribute(quote(name)))),
            None => Ok(()),
        }
    }
}

/// White space of XML, which is less than that of Unicode.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

/// Whether XML 1.0 §2.2 allows the character.
pub(crate) fn is_legal(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Reads a document and returns its root.
pub(crate) fn read(octets: &[u8]) -> Result<Element, PskcError> {
    let start = Position { line: 1, column: 1 };
    if octets.len() > Decoder::MAX_LEN {
        return Err(PskcError::whole(start, Problem::TooLong));
    }
    let octets = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets);
    let text = match str::from_utf8(octets) {
        Ok(text) => text,
        Err(error) => {
            let valid = octets
                .get(..error.valid_up_to())
                .and_then(|octets| str::from_utf8(octets).ok());
            let mut places = Places::new(valid.unwrap_or_default());
            return Err(PskcError::whole(places.at(error.valid_up_to()), Problem::NotUtf8));
        }
    };
    if let Some((offset, _)) = text.char_indices().find(|(_, character)| !is_legal(*character)) {
        let problem = Problem::Xml("it has a control character".into());
        return Err(PskcError::whole(Places::new(text).at(offset), problem));
    }
    Builder::new(text).document()
}

/// Turns offsets into places, in one pass over the text.
struct Places<'a> {
    rest: &'a str,
    counted: usize,
    here: Position,
}

impl<'a> Places<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text,
            counted: 0,
            here: Position { line: 1, column: 1 },
        }
    }

    /// The place of an offset that is not less than the one before.
    fn at(&mut self, offset: usize) -> Position {
        let (passed, rest) = self
            .rest
            .split_at_checked(offset.saturating_sub(self.counted))
            .unwrap_or((self.rest, ""));
        for character in passed.chars() {
            if character == '\n' {
                self.here.line = self.here.line.saturating_add(1);
                self.here.column = 1;
            } else {
                self.here.column = self.here.column.saturating_add(1);
            }
        }
        self.rest = rest;
        self.counted = self.counted.saturating_add(passed.len());
        self.here
    }
}

struct Builder<'a> {
    reader: NsReader<&'a [u8]>,
    places: Places<'a>,
    /// Elements that have begun, the root first.
    open: Vec<Element>,
    root: Option<Element>,
}

impl<'a> Builder<'a> {
    fn new(text: &'a str) -> Self {
        let mut reader = NsReader::from_str(text);
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.check_end_names = true;
        config.allow_dangling_amp = false;
        Self {
            reader,
            places: Places::new(text),
            open: Vec::new(),
            root: None,
        }
    }

    fn document(mut self) -> Result<Element, PskcError> {
        loop {
            let before = offset(self.reader.buffer_position());
            let event = self.reader.read_resolved_event();
            let (namespace, event) = match event {
                Ok((namespace, event)) => (Names::of(namespace), event),
                Err(error) => {
                    let at = self.places.at(offset(self.reader.error_position()).max(before));
                    return Err(PskcError::whole(at, not_well_formed(&error)));
                }
            };
            // The end that an empty element is given has no place of its own.
            let at = self.places.at(before);
            match event {
                Event::Start(tag) => self.begin(&tag, namespace, at)?,
                Event::Empty(_) => return Err(PskcError::whole(at, malformed("it has an empty element"))),
                Event::End(_) => self.end(at)?,
                Event::Text(text) => self.text(&text, at)?,
                Event::CData(text) => self.text(&text, at)?,
                Event::GeneralRef(reference) => self.reference(&reference, at)?,
                Event::Comment(_) => {}
                Event::Decl(declaration) => {
                    check_declaration(&declaration).map_err(|problem| PskcError::whole(at, problem))?
                }
                Event::PI(_) => return Err(PskcError::whole(at, Problem::ProcessingInstruction)),
                Event::DocType(_) => return Err(PskcError::whole(at, Problem::DocumentType)),
                Event::Eof => break,
            }
        }
        let end = self.places.at(usize::MAX);
        match (self.open.pop(), self.root) {
            (Some(element), _) => Err(element.error(malformed("the file ends before the element does"))),
            (None, Some(root)) => Ok(root),
            (None, None) => Err(PskcError::whole(end, malformed("it has no element"))),
        }
    }

    fn begin(&mut self, tag: &BytesStart<'_>, names: Names, at: Position) -> Result<(), PskcError> {
        let failed = |problem| Err(PskcError::whole(at, problem));
        if self.open.len() >= Decoder::MAX_DEPTH {
            return failed(Problem::TooDeep);
        }
        if self.root.is_some() {
            return failed(malformed("it has a second root element"));
        }
        if tag.len() > MAX_TAG {
            return failed(malformed("a tag is too long"));
        }
        if matches!(names, Names::Unknown) {
            return failed(malformed("a prefix is not declared"));
        }
        let mut attributes = Vec::new();
        for attribute in tag.attributes() {
            let attribute = match attribute {
                Ok(attribute) => attribute,
                Err(error) => return failed(malformed(&quote(&error.to_string()))),
            };
            if attribute.key.as_namespace_binding().is_some() {
                continue;
            }
            if attribute
                .key
                .prefix()
                .is_some_and(|prefix| HARMLESS_PREFIXES.contains(&prefix.as_ref()))
            {
                continue;
            }
            let value = match attribute.normalized_value(XmlVersion::Implicit1_0) {
                Ok(value) if value.chars().all(is_legal) => value,
                Ok(_) => return failed(malformed("it has a control character")),
                Err(_) => return failed(malformed("an attribute has an unknown entity")),
            };
            attributes.push((attribute.key.as_ref().into(), value.into_owned()));
        }
        self.open.push(Element {
            name: tag.local_name().as_ref().into(),
            foreign: matches!(names, Names::Foreign),
            is_pskc: matches!(names, Names::Pskc),
            at,
            attributes,
            children: Vec::new(),
            text: SecretText::default(),
        });
        Ok(())
    }

    fn end(&mut self, at: Position) -> Result<(), PskcError> {
        let Some(element) = self.open.pop() else {
            return Err(PskcError::whole(
                at,
                malformed("an element ends that never began"),
            ));
        };
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
        Ok(())
    }

    /// Takes text with its line ends normalized (XML 1.0 §2.11).
    fn text(&mut self, text: &str, at: Position) -> Result<(), PskcError> {
        match self.open.last_mut() {
            Some(element) => {
                let mut lines = text.split('\r');
                element.text.push_str(lines.next().unwrap_or_default());
                for line in lines {
                    element.text.push('\n');
                    element.text.push_str(line.strip_prefix('\n').unwrap_or(line));
                }
                Ok(())
            }
            None if trim(text).is_empty() => Ok(()),
            None => Err(PskcError::whole(
                at,
                malformed("there is text outside of the root element"),
            )),
        }
    }

    fn reference(&mut self, reference: &BytesRef<'_>, at: Position) -> Result<(), PskcError> {
        let character = match &**reference {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => reference
                .resolve_char_ref()
                .ok()
                .flatten()
                .filter(|character| is_legal(*character)),
        };
        match (character, self.open.last_mut()) {
            (Some(character), Some(element)) => {
                element.text.push(character);
                Ok(())
            }
            _ => Err(PskcError::whole(at, Problem::Entity(quote(reference)))),
        }
    }
}

/// What the namespace of an element says about it.
enum Names {
    Pskc,
    Known,
    Foreign,
    /// The prefix is bound to nothing.
    Unknown,
}

impl Names {
    fn of(namespace: ResolveResult<'_>) -> Self {
        match namespace {
            ResolveResult::Bound(namespace) => match namespace.as_ref() {
                PSKC => Self::Pskc,
                XENC | XENC11 | DS | PKCS5 => Self::Known,
                _ => Self::Foreign,
            },
            ResolveResult::Unbound => Self::Known,
            ResolveResult::Unknown(_) => Self::Unknown,
        }
    }
}

fn check_declaration(declaration: &BytesDecl<'_>) -> Result<(), Problem> {
    if !declaration.version().is_ok_and(|version| version == "1.0") {
        return Err(malformed("its version is not 1.0"));
    }
    match declaration.encoding() {
        None => Ok(()),
        // Every ASCII text is UTF-8.
        Some(Ok(name)) if name.eq_ignore_ascii_case("UTF-8") || name.eq_ignore_ascii_case("US-ASCII") => {
            Ok(())
        }
        Some(_) => Err(Problem::NotUtf8),
    }
}

fn not_well_formed(error: &quick_xml::Error) -> Problem {
    malformed(&quote(&error.to_string()))
}

fn malformed(reason: &str) -> Problem {
    Problem::Xml(reason.trim_matches('"').to_owned())
}

/// Offsets are within the text, whose length is a `usize`.
fn offset(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

/// Decoded base64 (RFC 4648 §4), in which XML allows white space.
pub(crate) fn base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    use base64ct::{Base64, Encoding};
    let mut symbols = Zeroizing::new(String::with_capacity(text.len()));
    symbols.extend(
        text.chars()
            .filter(|character| !matches!(character, ' ' | '\t' | '\r' | '\n')),
    );
    Base64::decode_vec(&symbols).ok().map(Zeroizing::new)
}
