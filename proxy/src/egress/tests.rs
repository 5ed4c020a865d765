use std::net::{Ipv4Addr, Ipv6Addr};

use postern_config::{EgressList, Redirects};
use proptest::prelude::*;

use super::*;

fn rule(hosts: &[&str], cidrs: &[&str], ports: &[u16]) -> EgressRule {
    EgressRule {
        name: "r".to_owned(),
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        cidrs: cidrs.iter().map(|range| range.parse().unwrap()).collect(),
        ports: ports.to_vec(),
    }
}

fn policy(private_ranges: PrivateRanges, lists: Vec<Vec<EgressRule>>) -> Egress {
    let list = |(index, rules)| EgressList { manifest: format!("NetworkPolicy/default/n{index}"), rules };
    let allow = lists.into_iter().enumerate().map(list).collect();
    Egress::of_upstream(Some(postern_config::Egress { allow, private_ranges, redirects: Redirects::Deny }))
}

fn says(egress: &Egress, host: &str, address: &str) -> bool {
    egress.permits(host, address.parse().unwrap()).is_ok()
}

#[test]
fn attack_34_without_a_policy_a_declared_name_leads_nowhere_dangerous() {
    let egress = Egress::of_upstream(None);
    for (host, address, want) in [
        ("api.example.com", "8.8.8.8:443", true),
        ("api.internal", "10.1.2.3:443", true),
        ("api.internal", "[fd12::1]:443", true),
        ("api.internal", "100.64.0.1:443", true),
        ("localhost", "127.0.0.1:80", true),
        ("LOCALHOST.", "[::1]:80", true),
        ("api.example.com", "127.0.0.1:80", false),
        ("localhost.evil.example", "127.0.0.1:80", false),
        ("api.example.com", "[::ffff:127.0.0.1]:80", false),
        ("api.example.com", "[::127.0.0.1]:80", false),
        ("api.example.com", "169.254.169.254:80", false),
        ("localhost", "169.254.169.254:80", false),
        ("api.example.com", "[fd00:ec2::254]:80", false),
        ("api.example.com", "[64:ff9b::a9fe:a9fe]:80", false),
        ("api.example.com", "0.0.0.0:80", false),
        ("api.example.com", "224.0.0.1:80", false),
        // As it was written, and nothing else.
        ("127.0.0.1", "127.0.0.1:80", true),
        ("[::1]", "[::1]:80", true),
        ("10.0.0.1", "10.0.0.1:80", true),
        ("10.0.0.1", "[::ffff:10.0.0.1]:80", true),
        ("10.0.0.1", "10.0.0.2:80", false),
        ("10.0.0.1", "8.8.8.8:80", false),
        // What only a resolver takes for an address.
        ("2130706433", "127.0.0.1:80", false),
        ("127.1", "127.0.0.1:80", false),
        ("0x7f.1", "8.8.8.8:80", false),
        ("0x7f000001", "8.8.8.8:80", false),
        ("017700000001", "8.8.8.8:80", false),
        ("a b", "8.8.8.8:80", false),
        ("", "8.8.8.8:80", false),
        ("a..b", "8.8.8.8:80", false),
        ("fe80::1%eth0", "[fe80::1]:80", false),
    ] {
        assert_eq!(says(&egress, host, address), want, "{host} {address}");
    }
}

#[test]
fn without_a_policy_a_caller_is_connected_to_nothing() {
    let egress = Egress::of_caller(None);
    for (host, address) in [("api.example.com", "8.8.8.8:443"), ("8.8.8.8", "8.8.8.8:443")] {
        assert!(matches!(egress.permits(host, address.parse().unwrap()), Err(EgressError::NoPolicy)));
    }
}

#[test]
fn a_rule_of_every_manifest_must_match() {
    let one = || vec![rule(&["*.example.com", "api.other.net"], &[], &[443])];
    let two = || vec![rule(&["api.example.com"], &[], &[443, 8443])];
    let (alone, both) = (policy(PrivateRanges::Deny, vec![one()]), policy(PrivateRanges::Deny, vec![one(), two()]));
    for (host, address, in_one, in_both) in [
        ("api.example.com", "8.8.8.8:443", true, true),
        ("API.example.com.", "8.8.8.8:443", true, true),
        ("www.example.com", "8.8.8.8:443", true, false),
        ("a.b.example.com", "8.8.8.8:443", false, false),
        ("example.com", "8.8.8.8:443", false, false),
        ("api.other.net", "8.8.8.8:443", true, false),
        ("api.example.com", "8.8.8.8:8443", false, false),
        ("api.example.com.evil.net", "8.8.8.8:443", false, false),
        ("8.8.8.8", "8.8.8.8:443", false, false),
        ("api.example.com", "10.0.0.1:443", false, false),
        ("api.example.com", "169.254.169.254:443", false, false),
    ] {
        assert_eq!(says(&alone, host, address), in_one, "{host} {address} alone");
        assert_eq!(says(&both, host, address), in_both, "{host} {address} both");
    }
}

#[test]
fn attack_34_private_addresses_have_to_be_named() {
    let rules = || {
        vec![
            rule(&["mcp.internal.example"], &["10.20.0.0/16"], &[8443]),
            rule(&[], &["198.51.100.0/24", "127.0.0.1/32"], &[443]),
            rule(&["*"], &[], &[443]),
            rule(&["meta"], &["169.254.169.254/32"], &[80]),
            rule(&["wide"], &["0.0.0.0/0", "::/0"], &[1]),
        ]
    };
    let listed = policy(PrivateRanges::AllowListed, vec![rules()]);
    let denied = policy(PrivateRanges::Deny, vec![rules()]);
    for (host, address, want, want_denied) in [
        ("mcp.internal.example", "10.20.1.1:8443", true, false),
        ("mcp.internal.example", "10.21.1.1:8443", false, false),
        ("mcp.internal.example", "[::ffff:10.20.1.1]:8443", true, false),
        ("mcp.internal.example", "[2002:a14:101::]:8443", false, false),
        ("mcp.internal.example", "[64:ff9b::10.20.1.1]:8443", false, false),
        ("mcp.internal.example", "10.20.1.1:443", false, false),
        ("other.example", "10.20.1.1:8443", false, false),
        ("other.example", "8.8.8.8:443", true, true),
        ("other.example", "127.0.0.1:443", true, false),
        ("other.example", "127.0.0.2:443", false, false),
        ("other.example", "192.168.0.1:443", false, false),
        ("meta", "169.254.169.254:80", true, false),
        ("wide", "10.0.0.1:1", false, false),
        ("wide", "[fd00::1]:1", false, false),
        ("wide", "[::1]:1", false, false),
        ("wide", "8.8.8.8:1", true, true),
        ("wide", "0.0.0.0:1", false, false),
    ] {
        assert_eq!(says(&listed, host, address), want, "{host} {address}");
        assert_eq!(says(&denied, host, address), want_denied, "{host} {address} denied");
    }
}

#[tokio::test]
async fn what_is_resolved_is_what_may_be_dialled() {
    let egress = Egress::of_upstream(None);
    let found = egress.resolve("localhost", 81).await.unwrap();
    assert!(!found.is_empty() && found.iter().all(|address| address.ip().is_loopback() && address.port() == 81));
    assert_eq!(egress.resolve("10.0.0.1", 80).await.unwrap(), ["10.0.0.1:80".parse().unwrap()]);
    let elsewhere = policy(PrivateRanges::Deny, vec![vec![rule(&["api.example.com"], &[], &[443])]]);
    for (host, port) in [("localhost", 443), ("127.0.0.1", 443), ("api.example.com", 80), ("0", 443), ("127.1", 443)] {
        let refused = elsewhere.resolve(host, port).await.unwrap_err();
        assert!(refused.is_refusal(), "{host}: {refused}");
    }
    // Of several addresses the ones that may not be dialled are left out.
    let mixed = ["127.0.0.1:1", "8.8.8.8:1", "169.254.169.254:1", "8.8.8.8:1"].map(|text| text.parse().unwrap());
    assert_eq!(egress.permitted("a.example", mixed.to_vec()).unwrap(), ["8.8.8.8:1".parse().unwrap()]);
    let refused = egress.permitted("a.example", vec![mixed[0]]).unwrap_err().to_string();
    assert_eq!(refused, "`a.example` is at 127.0.0.1, a loopback address, which a name must not lead to");
}

proptest! {
    #[test]
    fn attack_34_no_spelling_of_a_private_address_passes(b: u8, c: u8, d: u8, which in 0_usize..4, port: u16) {
        let inner = [[10, b, c, d], [127, b, c, d], [192, 168, c, d], [169, 254, c, d]][which];
        let [high, low] = [u16::from_be_bytes([inner[0], inner[1]]), u16::from_be_bytes([inner[2], inner[3]])];
        let number = u32::from_be_bytes(inner);
        let any = policy(PrivateRanges::Deny, vec![vec![rule(&["*"], &[], &[port]), rule(&[], &["::/0", "0.0.0.0/0"], &[port])]]);
        let v6 = [
            Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
            Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            Ipv6Addr::new(0x2606, 0, 0, 0, 0, 0x5efe, high, low),
        ];
        let addresses = v6.map(IpAddr::V6).into_iter().chain([IpAddr::V4(Ipv4Addr::from(inner))]);
        for address in addresses {
            let address = SocketAddr::new(address, port);
            for host in ["evil.example".to_owned(), address.ip().to_string(), format!("[{}]", address.ip())] {
                prop_assert!(any.permits(&host, address).is_err(), "{} {}", host, address);
            }
        }
        for host in [number.to_string(), format!("{number:#x}"), format!("0{number:o}"), format!("{}.{}", inner[0], number & 0xff_ffff)] {
            prop_assert!(matches!(read(&host), Err(EgressError::NotAHost(_))), "{}", host);
        }
    }

    #[test]
    fn reading_a_host_never_panics(host in ".{0,40}") {
        let _ = read(&host);
    }
}
