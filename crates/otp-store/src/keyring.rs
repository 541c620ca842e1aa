//! The sealing keys of a store: one, or two while it is rotated.
//!
//! Every sealed record names its key, and the database names the key that new records take. A process that meets a key
//! that it does not have reads the key file again: so a rotation needs no restart.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use zeroize::Zeroizing;

use crate::{
    KeyId, StoreError, keyfile,
    seal::{Place, SealKey, record_key},
};

/// The keys in the key file, the older one first.
pub(crate) struct Keyring {
    path: PathBuf,
    /// User id of the owner of the state directory.
    owner: u32,
    keys: RwLock<Arc<[SealKey]>>,
}

impl Keyring {
    /// Reads the key file.
    pub(crate) fn read(path: &Path, owner: u32) -> Result<Self, StoreError> {
        let keys = keyfile::read(path, owner)?;
        Ok(Self {
            path: path.to_owned(),
            owner,
            keys: RwLock::new(keys.into()),
        })
    }

    /// A key that has just been written to `path`.
    pub(crate) fn new(path: &Path, owner: u32, key: SealKey) -> Self {
        Self {
            path: path.to_owned(),
            owner,
            keys: RwLock::new([key].into()),
        }
    }

    /// The keys as they are known, the older one first.
    pub(crate) fn keys(&self) -> Arc<[SealKey]> {
        // One pointer: no panic leaves it half written.
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&keys)
    }

    /// Reads the key file again.
    pub(crate) fn reload(&self) -> Result<Arc<[SealKey]>, StoreError> {
        let keys: Arc<[SealKey]> = keyfile::read(&self.path, self.owner)?.into();
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&keys);
        Ok(keys)
    }

    /// Puts `keys` in the place of those in the file.
    pub(crate) fn replace(&self, keys: Vec<SealKey>) -> Result<(), StoreError> {
        keyfile::replace(&self.path, &keys)?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys.into();
        Ok(())
    }

    /// The key called `id`, from the file if it is not known yet.
    pub(crate) fn key(&self, id: KeyId) -> Result<SealKey, StoreError> {
        let find = |keys: &[SealKey]| keys.iter().find(|key| key.id() == id).cloned();
        if let Some(key) = find(&self.keys()) {
            return Ok(key);
        }
        let keys = self.reload()?;
        find(&keys).ok_or_else(|| StoreError::WrongKey {
            path: self.path.clone(),
            found: keys.iter().map(SealKey::id).collect(),
            expected: id,
        })
    }

    /// Opens what was sealed for `place`; `None` if `record` is not that.
    ///
    /// # Errors
    ///
    /// [`StoreError::WrongKey`] if it names a key that is not in the file, or why the file cannot be read.
    pub(crate) fn open(
        &self,
        record: &[u8],
        place: Place<'_>,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let Some(id) = record_key(record) else {
            return Ok(None);
        };
        Ok(self.key(id)?.open(record, place))
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keyring").field(&self.path).finish()
    }
}
