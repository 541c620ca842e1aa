//! From the source of a packet to its client, and to the rules for its answer: a table in memory, as of one epoch.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use ipnet::IpNet;
use otp_validation::ReplyRules;
use tokio::time::Instant;

use crate::{
    ClientRecord, ClientSource, Store, StoreError,
    client::{canonical_address, each, read_record},
    client_secret::open,
    error::Fault,
    rule,
    sql::{Sql, values},
    store::Secrets,
};

/// Where a packet came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// From this address, in a request without NAS-Identifier.
    Address(IpAddr),
    /// From this address, in a request with this NAS-Identifier.
    Nas(IpAddr, Vec<u8>),
    /// Through the UNIX listener of this name.
    Listener(String),
}

impl Store {
    /// The client that sends from `source`, with its secret; `None` if there is none, in which case the packet is discarded.
    ///
    /// What another process changes is seen by the next call: it asks the database for one number and reads clients and rules anew
    /// when that has moved. (As an [`AccountStore`](crate::AccountStore), the store does not ask again for 20 milliseconds.)
    ///
    /// # Errors
    ///
    /// [`StoreError::Unsealable`] if this client's secret cannot be opened (others are not affected); else whatever keeps
    /// the store from reading.
    pub fn client_for(&self, source: &Source) -> Result<Option<Arc<ClientRecord>>, StoreError> {
        self.routing_table()?.find(source).cloned().transpose()
    }

    /// The clients that may send from `address`, longest prefix first: more than one where they are told apart by NAS-Identifier.
    ///
    /// # Errors
    ///
    /// As [`client_for`](Self::client_for), if none of them can be used.
    pub fn clients_at(&self, address: IpAddr) -> Result<Vec<Arc<ClientRecord>>, StoreError> {
        let table = self.routing_table()?;
        let (mut usable, mut refused) = (Vec::new(), None);
        for entry in table.at(address) {
            match entry {
                Ok(client) => usable.push(Arc::clone(client)),
                Err(error) => refused = refused.or_else(|| Some(error.clone())),
            }
        }
        match refused {
            Some(error) if usable.is_empty() => Err(error),
            _ => Ok(usable),
        }
    }

    /// The rules that hold, in their order.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`], or whatever keeps the store from reading.
    pub fn reply_rules(&self) -> Result<ReplyRules, StoreError> {
        Ok(self.routing_table()?.rules.clone())
    }

    fn routing_table(&self) -> Result<Arc<Table>, StoreError> {
        self.read_sealed("finding a client", |transaction| {
            let epoch = epoch(transaction)?;
            if let Some(table) = self.routes().at(epoch) {
                return Ok(table);
            }
            let table = Arc::new(Table::load(transaction, epoch, self.secrets())?);
            self.routes().keep(&table);
            Ok(table)
        })
    }

    /// The rules as they were when a client was last looked up: nothing is asked of the database.
    pub(crate) fn known_reply_rules(&self) -> ReplyRules {
        let kept = self.routes().table.read().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref()
            .map_or(ReplyRules::none(), |table| table.rules.clone())
    }

    /// As [`Store::client_for`], comparing the table with the database at moment `now`.
    pub(crate) fn client_for_at(
        &self,
        source: &Source,
        now: Instant,
    ) -> Result<Option<Arc<ClientRecord>>, StoreError> {
        let table = self.routing_table()?;
        self.routes().compared(now);
        table.find(source).cloned().transpose()
    }

    /// As [`Store::client_for`], by a table that was compared with the database a moment ago; `None` if there is none.
    ///
    /// A daemon asks with every packet, tens of thousands of times a second.
    pub(crate) fn recent_client_for(
        &self,
        source: &Source,
        now: Instant,
    ) -> Option<Result<Option<Arc<ClientRecord>>, StoreError>> {
        let table = self.routes().recent(now)?;
        Some(table.find(source).cloned().transpose())
    }
}

fn epoch(transaction: Sql<'_>) -> Result<i64, Fault> {
    transaction.one("SELECT client_epoch FROM meta", values![], |row| {
        row.get("client_epoch")
    })
}

/// For how long a table is used without asking whether it is up to date.
const RECENT: Duration = Duration::from_millis(20);

/// The newest table that anybody has read.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    table: RwLock<Option<Arc<Table>>>,
    /// When a comparison with the database began that found it up to date.
    compared: RwLock<Option<Instant>>,
}

impl Routes {
    fn at(&self, epoch: i64) -> Option<Arc<Table>> {
        let kept = self.table.read().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|table| table.epoch == epoch).cloned()
    }

    fn recent(&self, now: Instant) -> Option<Arc<Table>> {
        let compared = *self.compared.read().unwrap_or_else(PoisonError::into_inner);
        let is_recent = compared.is_some_and(|at| now.saturating_duration_since(at) < RECENT);
        let kept = self.table.read().unwrap_or_else(PoisonError::into_inner);
        kept.clone().filter(|_| is_recent)
    }

    /// The table that is kept was up to date at `began`, or later.
    fn compared(&self, began: Instant) {
        let mut compared = self.compared.write().unwrap_or_else(PoisonError::into_inner);
        *compared = (*compared).max(Some(began));
    }

    fn keep(&self, table: &Arc<Table>) {
        let mut kept = self.table.write().unwrap_or_else(PoisonError::into_inner);
        // Of two that read at once, the one on the older snapshot may be the later to come here.
        if kept.as_ref().is_none_or(|older| older.epoch < table.epoch) {
            *kept = Some(Arc::clone(table));
        }
    }
}

/// A client, or why this one cannot be used.
type Entry = Result<Arc<ClientRecord>, StoreError>;

/// The clients of one network.
#[derive(Debug, Default)]
struct Neighbours {
    /// By the NAS-Identifier that their requests must have.
    named: HashMap<Vec<u8>, Entry>,
    /// The one for all other requests.
    other: Option<Entry>,
}

impl Neighbours {
    fn find(&self, nas_identifier: Option<&[u8]>) -> Option<&Entry> {
        let named = nas_identifier.and_then(|identifier| self.named.get(identifier));
        named.or(self.other.as_ref())
    }
}

#[derive(Debug, Default)]
struct Table {
    epoch: i64,
    listeners: HashMap<String, Entry>,
    networks: HashMap<IpNet, Neighbours>,
    /// Prefix lengths in use, longest first.
    prefixes: Vec<u8>,
    rules: ReplyRules,
}

impl Table {
    fn load(transaction: Sql<'_>, epoch: i64, secrets: &Secrets) -> Result<Self, Fault> {
        let mut table = Self {
            epoch,
            rules: rule::enabled(transaction)?,
            ..Self::default()
        };
        each(transaction, None, |row| {
            let record = read_record(row)?;
            let entry = match open(row, secrets, record.clone()) {
                Ok(opened) => Ok(opened),
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
                let neighbours = self.networks.entry(network).or_default();
                match &record.nas_identifier {
                    Some(identifier) => {
                        neighbours.named.insert(identifier.clone().into_bytes(), entry);
                    }
                    None => neighbours.other = Some(entry),
                }
                // Kept sorted: the longest prefix is looked up first.
                let prefix = network.prefix_len();
                if let Err(place) = self.prefixes.binary_search_by(|known| prefix.cmp(known)) {
                    self.prefixes.insert(place, prefix);
                }
            }
        }
    }

    fn find(&self, source: &Source) -> Option<&Entry> {
        let (address, nas_identifier) = match source {
            Source::Listener(name) => return self.listeners.get(name),
            Source::Address(address) => (*address, None),
            Source::Nas(address, identifier) => (*address, Some(identifier.as_slice())),
        };
        // A network all of whose clients want another NAS-Identifier leaves the request to a wider one.
        self.around(address)
            .find_map(|neighbours| neighbours.find(nas_identifier))
    }

    /// All that may send from `address`.
    fn at(&self, address: IpAddr) -> impl Iterator<Item = &Entry> {
        self.around(address)
            .flat_map(|neighbours| neighbours.named.values().chain(&neighbours.other))
    }

    /// The networks that hold `address`, longest prefix first.
    fn around(&self, address: IpAddr) -> impl Iterator<Item = &Neighbours> {
        let address = canonical_address(address);
        let networks = self
            .prefixes
            .iter()
            .filter_map(move |prefix| IpNet::new(address, *prefix).ok());
        networks.filter_map(|network| self.networks.get(&network.trunc()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_asked_about_again_after_a_while() {
        let routes = Routes::default();
        let now = Instant::now();
        routes.compared(now);
        assert!(routes.recent(now).is_none(), "there is none yet");
        routes.keep(&Arc::new(Table {
            epoch: 1,
            ..Table::default()
        }));
        assert!(routes.recent(now + RECENT - Duration::from_millis(1)).is_some());
        assert!(routes.recent(now + RECENT).is_none());
        // A comparison that began earlier and ended later says nothing newer.
        routes.compared(now + RECENT);
        routes.compared(now);
        assert!(routes.recent(now + RECENT).is_some());
    }
}
