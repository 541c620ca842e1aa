//! From the source of a packet to its client: a table in memory, as of one epoch.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
};

use ipnet::IpNet;

use crate::{
    ClientRecord, ClientSource, Store, StoreError,
    client::{canonical_address, each, open_secret, read_record},
    error::Fault,
    sql::{Sql, values},
    store::Secrets,
};

/// Where a packet came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// From this address.
    Address(IpAddr),
    /// Through the UNIX listener of this name.
    Listener(String),
}

impl Store {
    /// The client that sends from `source`, with its secret; `None` if there is none, in which case the packet is discarded.
    ///
    /// What another process changes is seen by the next call: it asks the database for one number and reads the clients anew
    /// when that has moved.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unsealable`] if this client's secret cannot be opened (others are not affected); else whatever keeps
    /// the store from reading.
    pub fn client_for(&self, source: &Source) -> Result<Option<Arc<ClientRecord>>, StoreError> {
        let table = self.read("finding a client", |transaction| {
            let epoch = epoch(transaction)?;
            match self.routes().at(epoch) {
                Some(table) => Ok(table),
                None => {
                    let table = Arc::new(Table::load(transaction, epoch, self.secrets())?);
                    self.routes().keep(&table);
                    Ok(table)
                }
            }
        })?;
        table.find(source).cloned().transpose()
    }
}

fn epoch(transaction: Sql<'_>) -> Result<i64, Fault> {
    transaction.one("SELECT client_epoch FROM meta", values![], |row| {
        row.get("client_epoch")
    })
}

/// The newest table that anybody has read.
#[derive(Debug, Default)]
pub(crate) struct Routes(RwLock<Option<Arc<Table>>>);

impl Routes {
    fn at(&self, epoch: i64) -> Option<Arc<Table>> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|table| table.epoch == epoch).cloned()
    }

    fn keep(&self, table: &Arc<Table>) {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // Of two that read at once, the one on the older snapshot may be the later to come here.
        if kept.as_ref().is_none_or(|older| older.epoch < table.epoch) {
            *kept = Some(Arc::clone(table));
        }
    }
}

/// A client, or why this one cannot be used.
type Entry = Result<Arc<ClientRecord>, StoreError>;

#[derive(Debug, Default)]
struct Table {
    epoch: i64,
    listeners: HashMap<String, Entry>,
    networks: HashMap<IpNet, Entry>,
    /// Prefix lengths in use, longest first.
    prefixes: Vec<u8>,
}

impl Table {
    fn load(transaction: Sql<'_>, epoch: i64, secrets: &Secrets) -> Result<Self, Fault> {
        let mut table = Self {
            epoch,
            ..Self::default()
        };
        each(transaction, None, |row| {
            let record = read_record(row)?;
            let entry = match open_secret(row, secrets) {
                Ok(secret) => Ok(ClientRecord {
                    secret,
                    ..record.clone()
                }),
                Err(Fault::Store(error)) => Err(error),
                Err(fault) => return Err(fault),
            };
            table.insert(&record, entry.map(Arc::new));
            Ok(())
        })?;
        Ok(table)
    }

    fn insert(&mut self, record: &ClientRecord, entry: Entry) {
        match record.source {
            ClientSource::Unix => {
                self.listeners.insert(record.name.clone(), entry);
            }
            ClientSource::Network(network) => {
                self.networks.insert(network, entry);
                // Kept sorted: the longest prefix is looked up first.
                let prefix = network.prefix_len();
                if let Err(place) = self.prefixes.binary_search_by(|known| prefix.cmp(known)) {
                    self.prefixes.insert(place, prefix);
                }
            }
        }
    }

    fn find(&self, source: &Source) -> Option<&Entry> {
        match source {
            Source::Listener(name) => self.listeners.get(name),
            Source::Address(address) => {
                let address = canonical_address(*address);
                let mut networks = self
                    .prefixes
                    .iter()
                    .filter_map(|prefix| IpNet::new(address, *prefix).ok());
                networks.find_map(|network| self.networks.get(&network.trunc()))
            }
        }
    }
}
