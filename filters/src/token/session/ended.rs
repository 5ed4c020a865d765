//! Sessions that were ended before their time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::logout::LogoutToken;

/// Remembers who was logged out, until every session of the time before has ended by itself. Bounded: where there is no
/// room, everybody is logged out instead.
#[derive(Debug)]
pub struct EndedSessions {
    inner: Mutex<Inner>,
    room: usize,
}

#[derive(Debug, Default)]
struct Inner {
    /// Sessions that began at this second or before count no more.
    all_before: i64,
    /// By what ends: the moment up to which sessions have ended, and the one from which none of them can be left.
    ended: HashMap<Ends, (i64, i64)>,
    /// Tokens that ended something, with the end of their use: each ends something once.
    used: HashMap<(String, String), i64>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum Ends {
    Subject { issuer: String, subject: String },
    Session { issuer: String, sid: String },
}

impl EndedSessions {
    /// Entries of each kind.
    pub const ROOM: usize = 65_536;

    #[must_use]
    pub fn new() -> Self {
        Self::with_room(Self::ROOM)
    }

    pub(super) fn with_room(room: usize) -> Self {
        Self { inner: Mutex::default(), room }
    }

    /// Ends what `token` says, as far as it began by `now`; sessions live for `max_age` seconds. `false` where the token was
    /// used before.
    pub fn log_out(&self, token: &LogoutToken, now: i64, max_age: i64) -> bool {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.used.retain(|_, until| *until > now);
        let used = (token.issuer.clone(), token.id.clone());
        if inner.used.contains_key(&used) {
            return false;
        }
        if inner.used.len() < self.room {
            inner.used.insert(used, token.good_until);
        }
        // Where there is no room for its id, using it again ends nothing but what it may end.
        let issuer = token.issuer.clone();
        let ends = match (&token.sid, &token.subject) {
            (Some(sid), _) => Ends::Session { issuer, sid: sid.clone() },
            (None, Some(subject)) => Ends::Subject { issuer, subject: subject.clone() },
            (None, None) => return false,
        };
        self.put(&mut inner, ends, now, max_age);
        true
    }

    /// Ends one session, which its own user asked for.
    pub fn end(&self, issuer: &str, sid: &str, now: i64, max_age: i64) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        self.put(&mut inner, Ends::Session { issuer: issuer.to_owned(), sid: sid.to_owned() }, now, max_age);
    }

    fn put(&self, inner: &mut Inner, ends: Ends, now: i64, max_age: i64) {
        let until = now.saturating_add(max_age);
        if inner.ended.len() >= self.room && !inner.ended.contains_key(&ends) {
            inner.ended.retain(|_, (_, until)| *until > now);
        }
        if inner.ended.len() >= self.room && !inner.ended.contains_key(&ends) {
            inner.ended.clear();
            inner.all_before = now;
        } else {
            inner.ended.insert(ends, (now, until));
        }
    }

    /// Whether a session that began at `began` has been ended.
    pub(super) fn has_ended(&self, issuer: &str, subject: &str, sids: &[&str], began: i64) -> bool {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if began <= inner.all_before {
            return true;
        }
        if inner.ended.is_empty() {
            return false;
        }
        let issuer = || issuer.to_owned();
        let ended = |ends: &Ends| inner.ended.get(ends).is_some_and(|(by, _)| began <= *by);
        ended(&Ends::Subject { issuer: issuer(), subject: subject.to_owned() })
            || sids.iter().any(|sid| ended(&Ends::Session { issuer: issuer(), sid: (*sid).to_owned() }))
    }
}

impl Default for EndedSessions {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(id: &str, subject: Option<&str>, sid: Option<&str>) -> LogoutToken {
        LogoutToken {
            issuer: "i".to_owned(),
            id: id.to_owned(),
            subject: subject.map(str::to_owned),
            sid: sid.map(str::to_owned),
            good_until: 200,
        }
    }

    #[test]
    fn what_was_ended_is_what_was_named_and_began_before() {
        let ended = EndedSessions::with_room(10);
        assert!(!ended.has_ended("i", "mia", &["s1"], 90));
        assert!(ended.log_out(&token("1", Some("mia"), Some("s1")), 100, 1000));
        assert!(ended.has_ended("i", "mia", &["s1"], 90));
        assert!(!ended.has_ended("i", "mia", &["s2"], 90), "another session of hers goes on");
        assert!(!ended.has_ended("j", "mia", &["s1"], 90), "the issuer of another one may use the same name");
        assert!(!ended.has_ended("i", "mia", &["s1"], 101), "who logs in again is in");
        assert!(ended.log_out(&token("2", Some("mia"), None), 110, 1000));
        assert!(ended.has_ended("i", "mia", &["s2"], 90) && !ended.has_ended("i", "bob", &["s3"], 90));
        ended.end("i", "own", 120, 1000);
        assert!(ended.has_ended("i", "bob", &["own"], 90));
    }

    #[test]
    fn a_token_ends_something_once() {
        let ended = EndedSessions::with_room(10);
        assert!(ended.log_out(&token("1", Some("mia"), None), 100, 1000));
        assert!(!ended.log_out(&token("1", Some("mia"), None), 150, 1000));
        assert!(!ended.has_ended("i", "mia", &[], 120), "the second time ends nothing");
    }

    #[test]
    fn attack_46_where_there_is_no_room_everybody_is_out() {
        let ended = EndedSessions::with_room(3);
        for n in 0..3 {
            ended.end("i", &format!("s{n}"), 100, 50);
        }
        assert!(!ended.has_ended("i", "bob", &["s9"], 90));
        ended.end("i", "s3", 120, 50);
        assert!(ended.has_ended("i", "bob", &["s9"], 90) && !ended.has_ended("i", "bob", &["s9"], 121));
        for n in 0..3 {
            ended.end("i", &format!("t{n}"), 130, 50);
        }
        ended.end("i", "late", 200, 50);
        assert!(!ended.has_ended("i", "bob", &["s9"], 190), "those that ended by themselves made room");
    }
}
