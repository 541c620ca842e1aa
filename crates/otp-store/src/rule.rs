//! Rules: what acceptances of logins of a kind carry, how they are stored, and their administration.

use otp_validation::{Conditions, ReplyAttributes, ReplyError, ReplyRule, ReplyRules, UnixTime};

use crate::{
    Kind, Store, StoreError,
    audit::Deed,
    client::move_epoch,
    error::Fault,
    reply, rule_conditions,
    sql::{Row, Sql, values},
    value::{check_name, time, unix_time},
};

/// The most rules of a store: each login looks at all of them.
const MAX_RULES: usize = 1000;

/// Between the places of rules that are added one after the other, so that others fit between them.
const GAP: u32 = 10;

/// A rule to be added.
#[derive(Clone, Debug)]
pub struct NewRule {
    /// Its name: 1 to 64 octets without `/` and control characters.
    pub name: String,
    /// Its place among the others, of which the lower comes first; `None` for behind all that there are.
    pub order: Option<u32>,
    /// Whether it holds from the start.
    pub enabled: bool,
    /// Which logins it is about.
    pub conditions: Conditions,
    /// What their acceptances carry.
    pub reply: ReplyAttributes,
    /// When it was added.
    pub created_at: UnixTime,
}

/// A rule.
#[derive(Clone, Debug)]
pub struct RuleRecord {
    /// Its name.
    pub name: String,
    /// What may be changed about it.
    pub settings: RuleSettings,
    /// When it was added.
    pub created_at: UnixTime,
}

/// What may be changed about a rule while it stays the same rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSettings {
    /// Its place among the others, of which the lower comes first; rules with the same one come in the order of their names.
    pub order: u32,
    /// A disabled rule is about no login.
    pub enabled: bool,
    /// Which logins it is about.
    pub conditions: Conditions,
    /// What their acceptances carry.
    pub reply: ReplyAttributes,
}

impl Store {
    /// Adds a rule. It holds from the next request on, in every process.
    ///
    /// # Errors
    ///
    /// [`StoreError::Exists`] if the name is taken, [`StoreError::Invalid`] for a malformed name, too many conditions or too many
    /// rules; else whatever keeps the store from writing.
    pub fn add_rule(&self, rule: &NewRule) -> Result<(), StoreError> {
        self.administer("adding a rule", |transaction| {
            check_name("the name of a rule", &rule.name)?;
            let (rules, last): (i64, Option<u32>) = transaction.one(
                "SELECT count(*) AS total, max(position) AS last FROM rules",
                values![],
                |row| Ok((row.get("total")?, row.get("last")?)),
            )?;
            if usize::try_from(rules).is_ok_and(|rules| rules >= MAX_RULES) {
                let (what, why) = ("another rule", "is one too many: there are 1000");
                return Err(StoreError::Invalid { what, why }.into());
            }
            let behind = || last.map_or(Some(GAP), |last| last.checked_add(GAP));
            let order = rule.order.or_else(behind).ok_or(StoreError::Invalid {
                what: "the place of a rule behind all others",
                why: "is beyond the largest number: give it one",
            })?;
            let conditions = rule_conditions::encode(&rule.conditions)?;
            let inserted = transaction.execute(
                "INSERT INTO rules (name, position, enabled, conditions, reply_attributes, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                values![
                    &rule.name,
                    order,
                    rule.enabled,
                    conditions.as_ref(),
                    reply::encode(&rule.reply)?.as_ref(),
                    time(rule.created_at),
                ],
            );
            inserted.map_err(|fault| fault.or_exists(Kind::Rule, rule.name.as_str()))?;
            move_epoch(transaction)?;
            let state = if rule.enabled { "" } else { ", disabled" };
            let detail = format!("order={order}{state}");
            self.log(
                transaction,
                &Deed::on_rule("rule-added", &rule.name).with(&detail),
            )?;
            self.log_conditions(transaction, &rule.name, &Conditions::default(), &rule.conditions)?;
            self.log_reply(transaction, &ReplyAttributes::none(), &rule.reply, |deed| {
                Deed::on_rule(deed, &rule.name)
            })
        })
    }

    /// All rules, in their order.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`], or whatever keeps the store from reading.
    pub fn rules(&self) -> Result<Vec<RuleRecord>, StoreError> {
        self.read("reading rules", |transaction| records(transaction, None))
    }

    /// The rule of this name, if there is one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`], or whatever keeps the store from reading.
    pub fn rule(&self, name: &str) -> Result<Option<RuleRecord>, StoreError> {
        self.read("reading a rule", |transaction| {
            Ok(records(transaction, Some(name))?.pop())
        })
    }

    /// Lets `change` edit a rule; what it then says holds from the next request on, in every process.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], [`StoreError::Invalid`] if `change` fails or there are too many conditions; else whatever keeps the
    /// store from writing.
    pub fn change_rule(
        &self,
        name: &str,
        change: impl FnOnce(&mut RuleSettings) -> Result<(), ReplyError>,
    ) -> Result<(), StoreError> {
        self.administer("changing a rule", |transaction| {
            let found = records(transaction, Some(name))?.pop();
            let before = found.ok_or_else(|| not_found(name))?.settings;
            let mut after = before.clone();
            change(&mut after).map_err(StoreError::from)?;
            if after == before {
                return Ok(());
            }
            transaction.execute(
                "UPDATE rules SET position = ?2, enabled = ?3, conditions = ?4, reply_attributes = ?5 WHERE name = ?1",
                values![
                    name,
                    after.order,
                    after.enabled,
                    rule_conditions::encode(&after.conditions)?.as_ref(),
                    reply::encode(&after.reply)?.as_ref(),
                ],
            )?;
            move_epoch(transaction)?;
            if after.enabled != before.enabled {
                let deed = if after.enabled { "rule-enabled" } else { "rule-disabled" };
                self.log(transaction, &Deed::on_rule(deed, name))?;
            }
            if after.order != before.order {
                let detail = format!("order={}", after.order);
                self.log(transaction, &Deed::on_rule("rule-changed", name).with(&detail))?;
            }
            self.log_conditions(transaction, name, &before.conditions, &after.conditions)?;
            self.log_reply(transaction, &before.reply, &after.reply, |deed| {
                Deed::on_rule(deed, name)
            })
        })
    }

    /// Removes a rule.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], or whatever keeps the store from writing.
    pub fn remove_rule(&self, name: &str) -> Result<(), StoreError> {
        self.administer("removing a rule", |transaction| {
            let rows = transaction.execute("DELETE FROM rules WHERE name = ?1", values![name])?;
            if rows == 0 {
                return Err(not_found(name));
            }
            move_epoch(transaction)?;
            self.log(transaction, &Deed::on_rule("rule-removed", name))
        })
    }

    /// Records what was added and what was taken away, each by itself: a record has no room for a hundred.
    fn log_conditions(
        &self,
        transaction: Sql<'_>,
        rule: &str,
        before: &Conditions,
        after: &Conditions,
    ) -> Result<(), Fault> {
        let names = ["rule-condition-removed", "rule-condition-set"];
        let (before, after): (Vec<_>, Vec<_>) = (before.texts().collect(), after.texts().collect());
        self.log_changes(transaction, names, [&before, &after], String::clone, |deed| {
            Deed::on_rule(deed, rule)
        })
    }
}

fn not_found(name: &str) -> Fault {
    StoreError::NotFound {
        kind: Kind::Rule,
        name: name.to_owned(),
    }
    .into()
}

/// The rules that hold, in their order.
pub(crate) fn enabled(transaction: Sql<'_>) -> Result<ReplyRules, Fault> {
    let records = records(transaction, None)?.into_iter();
    let enabled = records.filter(|record| record.settings.enabled);
    Ok(enabled
        .map(|record| ReplyRule {
            name: record.name,
            conditions: record.settings.conditions,
            reply: record.settings.reply,
        })
        .collect())
}

/// The rules in their order, or the one of that name.
fn records(transaction: Sql<'_>, name: Option<&str>) -> Result<Vec<RuleRecord>, Fault> {
    let mut records = Vec::new();
    transaction.each(
        "SELECT name, position, enabled, conditions, reply_attributes, created_at
         FROM rules WHERE CAST(?1 AS TEXT) IS NULL OR name = ?1 ORDER BY position, name",
        values![name],
        |row| {
            records.push(read_record(row)?);
            Ok(())
        },
    )?;
    Ok(records)
}

fn read_record(row: &Row<'_>) -> Result<RuleRecord, Fault> {
    let name: String = row.get("name")?;
    let conditions: Option<Vec<u8>> = row.get("conditions")?;
    Ok(RuleRecord {
        settings: RuleSettings {
            order: row.get("position")?,
            enabled: row.get("enabled")?,
            conditions: match conditions {
                None => Conditions::default(),
                Some(octets) => {
                    rule_conditions::decode(&octets).ok_or_else(|| damaged("conditions", &name))?
                }
            },
            reply: reply::read(row).map_err(|_| damaged("attributes", &name))?,
        },
        created_at: unix_time("created_at of a rule", row.get("created_at")?)?,
        name,
    })
}

/// What nothing can be read of. `rule rm` removes it all the same.
fn damaged(what: &str, rule: &str) -> StoreError {
    StoreError::corrupt(format!(
        "the {what} of rule {rule} (`otpctl rule rm {rule}` removes it)"
    ))
}
