//! One record, as fields.

use otp_store::AuditEntry;
use otp_validation::Reason;
use serde_json::{Map, Value, json};

use crate::{
    text::{Paint, Tone, escape},
    utc,
};

/// A record of the trail with what it tells.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) entry: AuditEntry,
    fields: Map<String, Value>,
}

impl Told {
    pub(crate) fn new(entry: AuditEntry) -> Self {
        // A record that is no object was not written by this program; it is shown without fields, and does not verify.
        let mut fields = match serde_json::from_str(&entry.record) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        if fields.get("user") == Some(&Value::Bool(true)) {
            let name = fields.get("name").cloned().unwrap_or_default();
            fields.insert("user".into(), name);
        }
        Self { entry, fields }
    }

    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field)?.as_str()
    }

    pub(crate) fn number(&self, field: &str) -> Option<u64> {
        self.fields.get(field)?.as_u64()
    }

    pub(crate) fn signed(&self, field: &str) -> Option<i64> {
        self.fields.get(field)?.as_i64()
    }

    /// The texts of a list.
    pub(crate) fn texts(&self, field: &str) -> Vec<&str> {
        let list = self.fields.get(field).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    pub(crate) fn is_reject(&self) -> bool {
        self.text("decision") == Some("reject")
    }

    pub(crate) fn is_accept(&self) -> bool {
        self.text("decision") == Some("accept")
    }

    /// Why, if it tells of a decision whose reason this version knows.
    pub(crate) fn reason(&self) -> Option<Reason> {
        let code = self.text("reason")?;
        Reason::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// Whether it is about this user, by the stored name or as it was sent.
    pub(crate) fn is_about_user(&self, name: &str) -> bool {
        let of_token = self.text("token").and_then(|token| token.rsplit_once('/'));
        self.text("user") == Some(name)
            || self.text("name") == Some(name)
            || of_token.is_some_and(|(user, _)| self.text("deed").is_some() && user == name)
    }

    pub(crate) fn is_about_client(&self, name: &str) -> bool {
        self.text("client") == Some(name)
    }

    /// Who or what it is about, for a line.
    fn object(&self) -> &str {
        let of_deed = ["token", "user", "client", "rule"];
        let of_decision = ["user", "name"];
        let fields = if self.text("deed").is_some() {
            &of_deed[..]
        } else {
            &of_decision[..]
        };
        fields.iter().find_map(|field| self.text(field)).unwrap_or("-")
    }

    /// `user/label` of the token that was recognised, or the user.
    pub(crate) fn who(&self) -> String {
        match (self.text("user"), self.text("token")) {
            (Some(user), Some(token)) => format!("{user}/{token}"),
            _ => self.object().to_owned(),
        }
    }

    /// One line for people.
    pub(crate) fn line(&self, paint: Paint) -> String {
        let time = utc::show(self.entry.at);
        if let Some(verdict) = self.text("decision") {
            let tone = if self.is_accept() { Tone::Good } else { Tone::Bad };
            let reason = self.text("reason").unwrap_or("-");
            let client = self.text("client").unwrap_or("-");
            let request = self.entry.request.map(|id| format!("  {id}")).unwrap_or_default();
            return format!(
                "{time}  {}  {reason:<18}  {:<20}  {:<12}{request}",
                paint.paint(tone, escape(verdict)),
                escape(&self.who()),
                escape(client),
            );
        }
        if let Some(left_out) = self.number("left_out") {
            let word = paint.paint(Tone::Caution, "lost  ");
            return format!(
                "{time}  {word}  {left_out} refusals were not recorded: there were too many at once"
            );
        }
        let deed = self.text("deed").unwrap_or("unknown");
        let word = paint.paint(Tone::Strong, "admin ");
        let detail = self.text("detail").map(|detail| format!("  {}", escape(detail)));
        format!(
            "{time}  {word}  {:<18}  {:<20}  {}{}",
            escape(deed),
            escape(self.object()),
            self.actor(),
            detail.unwrap_or_default()
        )
    }

    /// Who did what an administrator has done.
    pub(crate) fn actor(&self) -> String {
        match (self.number("uid"), self.text("for")) {
            (Some(uid), Some(person)) => format!("uid {uid} for {}", escape(person)),
            (Some(uid), None) => format!("uid {uid}"),
            (None, Some(person)) => escape(person).into_owned(),
            (None, None) => "-".to_owned(),
        }
    }

    /// Its place and its fields, as one object.
    pub(crate) fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("time".into(), json!(utc::show(self.entry.at)));
        object.insert("at".into(), json!(self.entry.at.0));
        object.insert("request".into(), json!(self.entry.request));
        object.extend(self.fields.clone());
        object.insert("chain".into(), json!(self.entry.chain.to_string()));
        object.insert("number".into(), json!(self.entry.number));
        Value::Object(object)
    }
}
