//! NetworkPolicy.ingress, compiled: ranges of addresses and globs on SPIFFE IDs.

use std::net::IpAddr;

use postern_certs::{SpiffeGlob, SpiffeId};
use postern_config::{Cidr, Ingress, IngressDeny};

/// Who may pass: one rule of every list, and none of the denials.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    allow: Vec<List>,
    deny: Vec<IngressDeny>,
}

#[derive(Debug)]
struct List {
    manifest: String,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    cidrs: Vec<Cidr>,
    principals: Vec<SpiffeGlob>,
}

/// Somebody may not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shut {
    /// The denial, or the manifest whose list has no rule for the peer.
    pub(crate) rule: String,
    pub(crate) detail: String,
}

impl Gate {
    /// # Errors
    /// A glob that is none, in words.
    pub(crate) fn compile(ingress: &Ingress) -> Result<Self, String> {
        let rule = |rule: &postern_config::IngressRule| {
            let globs = rule.principals.iter().map(|glob| {
                SpiffeGlob::parse(glob).map_err(|error| format!("`{glob}` of rule `{}`: {error}", rule.name))
            });
            Ok(Rule { cidrs: rule.cidrs.clone(), principals: globs.collect::<Result<_, String>>()? })
        };
        let list = |list: &postern_config::IngressList| {
            let rules: Result<_, String> = list.rules.iter().map(rule).collect();
            Ok(List { manifest: list.manifest.clone(), rules: rules? })
        };
        let allow: Result<_, String> = ingress.allow.iter().map(list).collect();
        Ok(Self { allow: allow?, deny: ingress.deny.clone() })
    }

    /// Before the peer has a name: refuses whom no name could help.
    pub(crate) fn admits_address(&self, address: IpAddr) -> Result<(), Shut> {
        self.check(address, |_| true)
    }

    /// `id` is the SPIFFE ID of a verified peer.
    pub(crate) fn admits(&self, address: IpAddr, id: Option<&str>) -> Result<(), Shut> {
        // Parsed only where a rule asks; an id that was verified is one.
        let id = id.filter(|_| self.asks_for_names()).and_then(|id| SpiffeId::parse(id).ok());
        self.check(address, |globs| id.as_ref().is_some_and(|id| globs.iter().any(|glob| glob.matches(id))))
    }

    fn asks_for_names(&self) -> bool {
        self.allow.iter().flat_map(|list| &list.rules).any(|rule| !rule.principals.is_empty())
    }

    fn check(&self, address: IpAddr, named: impl Fn(&[SpiffeGlob]) -> bool) -> Result<(), Shut> {
        let within = |ranges: &[Cidr]| ranges.iter().any(|range| range.contains(address));
        if let Some(deny) = self.deny.iter().find(|deny| within(&deny.cidrs)) {
            return Err(Shut { rule: deny.name.clone(), detail: format!("{} denies {address}", deny.name) });
        }
        let passes = |rule: &Rule| {
            (rule.cidrs.is_empty() || within(&rule.cidrs)) && (rule.principals.is_empty() || named(&rule.principals))
        };
        match self.allow.iter().find(|list| !list.rules.iter().any(passes)) {
            None => Ok(()),
            Some(list) => Err(Shut {
                rule: list.manifest.clone(),
                detail: format!("no ingress rule of {} allows the peer at {address}", list.manifest),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use postern_config::{IngressList, IngressRule};

    use super::*;

    fn list(manifest: &str, rules: &[(&[&str], &[&str])]) -> IngressList {
        let rule = |(cidrs, principals): &(&[&str], &[&str])| IngressRule {
            name: "r".to_owned(),
            cidrs: cidrs.iter().map(|range| range.parse().unwrap()).collect(),
            principals: principals.iter().map(|glob| (*glob).to_owned()).collect(),
        };
        IngressList { manifest: manifest.to_owned(), rules: rules.iter().map(rule).collect() }
    }

    #[test]
    fn attack_25_a_peer_passes_by_address_name_or_both_and_every_list_has_to_agree() {
        let agents: &[&str] = &["spiffe://example.org/ns/agents/**"];
        let gate = Gate::compile(&Ingress {
            allow: vec![
                list("one", &[(&["192.0.2.0/24"], &[]), (&[], agents), (&["10.0.0.0/8"], agents)]),
                list("two", &[(&["0.0.0.0/0", "2001:db8::/32"], &[])]),
            ],
            deny: vec![IngressDeny { name: "one#bad".to_owned(), cidrs: vec!["192.0.2.66/32".parse().unwrap()] }],
        })
        .unwrap();
        let (bot, other) = (Some("spiffe://example.org/ns/agents/bot"), Some("spiffe://example.org/ns/web/bot"));
        for (address, id, before, after) in [
            ("192.0.2.1", None, Ok(()), Ok(())),
            ("192.0.2.1", other, Ok(()), Ok(())),
            ("::ffff:192.0.2.1", None, Ok(()), Ok(())),
            ("192.0.2.66", bot, Err("one#bad"), Err("one#bad")),
            ("::ffff:192.0.2.66", bot, Err("one#bad"), Err("one#bad")),
            ("198.51.100.1", bot, Ok(()), Ok(())),
            ("198.51.100.1", other, Ok(()), Err("one")),
            ("198.51.100.1", None, Ok(()), Err("one")),
            ("198.51.100.1", Some("not an id"), Ok(()), Err("one")),
            ("10.1.1.1", None, Ok(()), Err("one")),
            ("2001:db8::1", bot, Ok(()), Ok(())),
            ("2001:db9::1", bot, Err("two"), Err("two")),
            // A tunnel's name for an inner address is not that address.
            ("2002:c000:201::", bot, Err("two"), Err("two")),
        ] {
            let ip: IpAddr = address.parse().unwrap();
            let rule = |shut: Result<(), Shut>| shut.map_err(|shut| shut.rule);
            assert_eq!(rule(gate.admits_address(ip)), before.map_err(str::to_owned), "{address} before its name");
            assert_eq!(rule(gate.admits(ip, id)), after.map_err(str::to_owned), "{address} {id:?}");
        }
    }

    #[test]
    fn without_rules_everybody_passes_and_a_list_without_rules_is_for_nobody() {
        let open = Gate::default();
        assert_eq!(open.admits_address("192.0.2.1".parse().unwrap()), Ok(()));
        let closed = Gate::compile(&Ingress { allow: vec![list("none", &[])], deny: Vec::new() }).unwrap();
        assert!(closed.admits_address("192.0.2.1".parse().unwrap()).is_err());
    }
}
