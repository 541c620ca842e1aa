//! What validation needs of a store, whatever keeps it.

use std::{net::IpAddr, sync::Arc};

use otp_validation::{Account, Decision, ReplyRules, UnixTime, UserName};

use tokio::time::Instant;

use crate::{ClientRecord, Commit, Digests, Record, Source, Store, StoreError};

/// An account as of one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// Everything about the user whom the name means; `None` if it means nobody.
    pub account: Option<Arc<Account>>,
    /// When it was taken, by the store's own clock.
    ///
    /// `None` if whoever uses the store is on its machine, and so has the same clock. Where several machines share a store,
    /// theirs may differ: what one of them remembers for seconds, another would take for hours.
    pub taken_at: Option<UnixTime>,
    /// Whether it was read just now. If not, others may have changed the account since: then only a decision whose effects
    /// are committed counts, because they are compared with what is there.
    pub is_fresh: bool,
}

/// How old a snapshot may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// As it is remembered from the last look or commit of this process, if it is.
    Any,
    /// As it is now.
    Fresh,
}

/// What validation needs of a store: snapshots, commits, the clients that may ask, and the rules for what they are told.
///
/// A cheap handle; its clones are the same store. Every method may wait; dropping its future abandons the wait. Only
/// [`Commit::Accepted`] gives the right to accept, so whoever implements this gets it from a store that commits.
pub trait AccountStore: Clone + Send + Sync + 'static {
    /// The store's keyed digests.
    fn digests(&self) -> Digests;

    /// As [`Store::account`], and when; or what is remembered of it.
    fn account(
        &self,
        name: &UserName,
        freshness: Freshness,
    ) -> impl Future<Output = Result<Snapshot, StoreError>> + Send;

    /// The time by the store's own clock, as in [`Snapshot::taken_at`].
    fn time(&self) -> impl Future<Output = Result<Option<UnixTime>, StoreError>> + Send;

    /// As [`Store::commit`].
    fn commit(
        &self,
        account: &Account,
        decision: Decision,
        record: Record,
    ) -> impl Future<Output = Result<Commit, StoreError>> + Send;

    /// As [`Store::record`].
    fn record(&self, record: Record);

    /// As [`Store::is_available`].
    fn is_available(&self) -> bool;

    /// As [`Store::check`].
    fn check(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// As [`Store::newest_acceptance`].
    fn newest_acceptance(&self) -> impl Future<Output = Result<Option<UnixTime>, StoreError>> + Send;

    /// As [`Store::forget_acceptances`].
    fn forget_acceptances(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// As [`Store::client_for`].
    fn client_for(
        &self,
        source: &Source,
    ) -> impl Future<Output = Result<Option<Arc<ClientRecord>>, StoreError>> + Send;

    /// As [`Store::clients_at`].
    fn clients_at(
        &self,
        address: IpAddr,
    ) -> impl Future<Output = Result<Vec<Arc<ClientRecord>>, StoreError>> + Send;

    /// As [`Store::reply_rules`], as of when a client was last looked up: what is asked with every acceptance waits for nothing.
    fn reply_rules(&self) -> ReplyRules;
}

/// Whatever may have to wait for the disk runs on the blocking pool: the runtime's threads must not wait.
impl AccountStore for Store {
    fn digests(&self) -> Digests {
        Self::digests(self)
    }

    async fn account(&self, name: &UserName, freshness: Freshness) -> Result<Snapshot, StoreError> {
        if freshness == Freshness::Any
            && let Some(account) = self.cache().find(name.as_str())
        {
            return Ok(Snapshot {
                account: Some(account),
                taken_at: self.time().await?,
                is_fresh: false,
            });
        }
        let name = name.clone();
        self.off_runtime(move |store| {
            let snapshot = store.snapshot(&name)?;
            if let Some(account) = &snapshot.account {
                store.cache().keep(name.as_str(), account);
            }
            Ok(snapshot)
        })
        .await
    }

    async fn time(&self) -> Result<Option<UnixTime>, StoreError> {
        self.clock().await
    }

    async fn commit(
        &self,
        account: &Account,
        decision: Decision,
        record: Record,
    ) -> Result<Commit, StoreError> {
        Self::commit(self, account, decision, record).await
    }

    fn record(&self, record: Record) {
        Self::record(self, record);
    }

    fn is_available(&self) -> bool {
        Self::is_available(self)
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.off_runtime(Self::check).await
    }

    async fn newest_acceptance(&self) -> Result<Option<UnixTime>, StoreError> {
        self.off_runtime(Self::newest_acceptance).await
    }

    async fn forget_acceptances(&self) -> Result<(), StoreError> {
        self.off_runtime(Self::forget_acceptances).await
    }

    /// Out of memory, but for some fifty times a second.
    async fn client_for(&self, source: &Source) -> Result<Option<Arc<ClientRecord>>, StoreError> {
        let began = Instant::now();
        if let Some(found) = self.recent_client_for(source, began) {
            return found;
        }
        let source = source.clone();
        self.off_runtime(move |store| store.client_for_at(&source, began))
            .await
    }

    async fn clients_at(&self, address: IpAddr) -> Result<Vec<Arc<ClientRecord>>, StoreError> {
        self.off_runtime(move |store| Self::clients_at(store, address))
            .await
    }

    fn reply_rules(&self) -> ReplyRules {
        self.known_reply_rules()
    }
}

impl Store {
    async fn off_runtime<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let Ok(place) = Arc::clone(self.places()).acquire_owned().await else {
            return Err(StoreError::ReaderGone);
        };
        let store = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            // Taken for as long as the work, even if nobody waits for it any more.
            let _place = place;
            work(&store)
        });
        done.await.unwrap_or(Err(StoreError::ReaderGone))
    }
}
