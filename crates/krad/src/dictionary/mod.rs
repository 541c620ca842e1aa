//! Names of attributes and values, from dictionary files in the format of FreeRADIUS 3.
//!
//! [`Dictionary::core`] needs no file. [`Dictionary::load`] reads a file and those that it includes, through a
//! [`DictionarySource`], whole or not at all: what is wrong is a [`DictionaryError`] with file, line and remedy.
//! [`Dictionary::display`] shows an attribute for a log, [`Dictionary::encode`] makes one from its name and value, [`Dictionary::expand`] takes one apart that others are nested
//! in (RFC 2865 §5.26, RFC 6929).

mod definition;
mod display;
mod encode;
mod error;
mod expand;
mod parse;
mod source;

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{Arc, LazyLock},
};

pub use definition::{DataType, Definition, Encryption, Flags, Oid, UnknownDataType, Vendor};
pub use display::DisplayAttribute;
pub use encode::{EncodedAttribute, ValueError};
pub use error::{DictionaryError, DictionaryProblem};
pub use expand::{Expanded, ExpandedAttribute};
pub use source::{DictionaryFiles, DictionarySource};

use crate::{AttributeType, VendorId};

/// Names for the numbers of attributes, values and vendors. Names are compared without regard to case.
///
/// ```
/// use krad::dictionary::Dictionary;
/// use krad::{Attribute, AttributeType};
///
/// let dictionary = Dictionary::core();
/// let service_type = dictionary.by_name("service-type").ok_or("not there")?;
/// assert_eq!(service_type.oid.to_string(), "6");
/// assert_eq!(dictionary.value_name(service_type, 8), Some("Authenticate-Only"));
///
/// let attribute = Attribute { kind: AttributeType::SERVICE_TYPE, value: &[0, 0, 0, 8] };
/// assert_eq!(dictionary.display(attribute).to_string(), "Service-Type = Authenticate-Only");
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Dictionary {
    attributes: BTreeMap<Oid, Arc<Definition>>,
    attributes_by_name: HashMap<String, Arc<Definition>>,
    vendors: BTreeMap<VendorId, Vendor>,
    vendors_by_name: HashMap<String, VendorId>,
    values: BTreeMap<Oid, Values>,
    warnings: Vec<DictionaryError>,
}

/// Named values of one attribute.
#[derive(Debug, Clone, Default)]
struct Values {
    by_number: BTreeMap<u64, String>,
    by_name: HashMap<String, u64>,
}

impl Dictionary {
    /// A dictionary of this crate's own, written from the RFCs: 2865, 2866, 2867, 2868, 2869, 3162, 3576, 3579, 4072,
    /// 4372, 4675, 4818, 4849, 5176, 5580, 6572, 6911, 6929, 7055 and Microsoft's attributes of RFC 2548; and what other vendors' gateways, switches and
    /// access points are told most.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "the text is a part of this crate, and a test parses it"
    )]
    pub fn core() -> &'static Self {
        static CORE: LazyLock<Dictionary> =
            LazyLock::new(|| Dictionary::parse(CORE_TEXT).expect("the core dictionary is well-formed"));
        &CORE
    }

    /// Parses the text of one file that includes no other.
    ///
    /// # Errors
    ///
    /// [`DictionaryError`], also for `$INCLUDE`.
    pub fn parse(text: &str) -> Result<Self, DictionaryError> {
        let mut dictionary = Self::default();
        parse::parse(&mut dictionary, Path::new("dictionary"), &OneFile(text))?;
        Ok(dictionary)
    }

    /// Reads the file at `path` and those that it includes.
    ///
    /// # Errors
    ///
    /// [`DictionaryError`] with file, line and remedy.
    pub fn load(path: impl AsRef<Path>, source: &impl DictionarySource) -> Result<Self, DictionaryError> {
        let mut dictionary = Self::default();
        dictionary.include(path, source)?;
        Ok(dictionary)
    }

    /// Adds what another file defines, and those that it includes. What it defines anew under a name and number that
    /// are there replaces what was there.
    ///
    /// # Errors
    ///
    /// [`DictionaryError`]; then the dictionary is as it was.
    pub fn include(
        &mut self,
        path: impl AsRef<Path>,
        source: &impl DictionarySource,
    ) -> Result<(), DictionaryError> {
        let mut extended = self.clone();
        parse::parse(&mut extended, path.as_ref(), source)?;
        *self = extended;
        Ok(())
    }

    /// What was left out: values of attributes that no file defines. It is harmless, but tell the operator.
    #[must_use]
    pub fn warnings(&self) -> &[DictionaryError] {
        &self.warnings
    }

    /// The attribute of this name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Definition> {
        self.attributes_by_name
            .get(&name.to_ascii_lowercase())
            .map(Arc::as_ref)
    }

    /// The attribute at this position: `[1]` is User-Name, `[26, 9, 1]` Cisco's first. Of several names, it has the
    /// one that was defined last.
    #[must_use]
    pub fn by_oid(&self, oid: &[u32]) -> Option<&Definition> {
        self.attributes.get(oid).map(Arc::as_ref)
    }

    /// The attribute of this type.
    #[must_use]
    pub fn by_type(&self, kind: AttributeType) -> Option<&Definition> {
        self.by_oid(&[u32::from(kind.0)])
    }

    /// All attributes, ascending by position.
    pub fn iter(&self) -> impl Iterator<Item = &Definition> {
        self.attributes.values().map(Arc::as_ref)
    }

    /// The name of a number, if the attribute has named values.
    #[must_use]
    pub fn value_name(&self, attribute: &Definition, number: u64) -> Option<&str> {
        let values = self.values.get(&attribute.oid)?;
        values.by_number.get(&number).map(String::as_str)
    }

    /// The number of a name, if the attribute has named values.
    #[must_use]
    pub fn value_by_name(&self, attribute: &Definition, name: &str) -> Option<u64> {
        let values = self.values.get(&attribute.oid)?;
        values.by_name.get(&name.to_ascii_lowercase()).copied()
    }

    /// The vendor of this number.
    #[must_use]
    pub fn vendor(&self, id: VendorId) -> Option<&Vendor> {
        self.vendors.get(&id)
    }

    /// The vendor of this name.
    #[must_use]
    pub fn vendor_by_name(&self, name: &str) -> Option<&Vendor> {
        self.vendor(*self.vendors_by_name.get(&name.to_ascii_lowercase())?)
    }

    /// All vendors, ascending by number.
    pub fn vendors(&self) -> impl Iterator<Item = &Vendor> {
        self.vendors.values()
    }
}

/// A source that knows one file.
struct OneFile<'a>(&'a str);

impl DictionarySource for OneFile<'_> {
    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        if path == Path::new("dictionary") {
            Ok(self.0.as_bytes().to_vec())
        } else {
            Err(std::io::ErrorKind::NotFound.into())
        }
    }
}

const CORE_TEXT: &str = include_str!("core.dictionary");
