//! The names by which the service may be called: what a request's Host must be, to the letter.

use std::{net::SocketAddr, str::FromStr};

/// A name that the operator gave the service: `NAME`, or `NAME:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName {
    name: String,
    port: Option<u16>,
}

/// Why a text is no such name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not of the form NAME or NAME:PORT, such as tasks.example.org or 192.168.1.5:50051")]
pub struct HostNameError(String);

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, HostNameError> {
        let error = || HostNameError(text.to_owned());
        let lower = text.to_ascii_lowercase();
        let (name, port) = match lower.rsplit_once(':') {
            // The colons of an IPv6 address stand in brackets.
            Some((name, port)) if !port.ends_with(']') => (name, Some(port.parse().map_err(|_| error())?)),
            Some(_) | None => (lower.as_str(), None),
        };
        let literal = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        let is_name = match literal {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok_and(|address| !address.is_unspecified()),
            None => {
                !name.is_empty()
                    && name != "0.0.0.0"
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
            }
        };
        if is_name { Ok(Self { name: name.to_owned(), port }) } else { Err(error()) }
    }
}

impl HostName {
    /// The name without brackets or port, as a certificate has it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.trim_start_matches('[').trim_end_matches(']')
    }

    /// As it stands in a URL of a service that listens on `port`.
    #[must_use]
    pub fn authority(&self, port: u16) -> String {
        format!("{}:{}", self.name, self.port.unwrap_or(port))
    }
}

/// A name by which the service may be called, as it stands in a request.
pub(super) struct Host {
    pub(super) name: String,
    /// The schemes of its own pages: before a named host may stand a proxy that speaks TLS for us.
    pub(super) schemes: &'static [&'static str],
    /// It is a name of this machine, or the address that it listens on: none that the operator gave it for others.
    pub(super) is_near: bool,
}

impl Host {
    /// Whether pages of this origin are its own.
    pub(super) fn is_origin(&self, origin: &str) -> bool {
        origin.split_once("://").is_some_and(|(scheme, name)| self.schemes.contains(&scheme) && name == self.name)
    }
}

/// The names by which a service may be called. Exactly these: `LOCALHOST`, `localhost.` or `127.1` are none of them,
/// and `0.0.0.0` is no name of anything.
pub(super) fn hosts(address: SocketAddr, named: &[HostName], tls: bool) -> Vec<Host> {
    let own: &'static [&'static str] = if tls { &["https"] } else { &["http"] };
    let either: &'static [&'static str] = &["https", "http"];
    // Without a port it is named behind a proxy, on whatever port that has.
    let portless = named.iter().filter(|named| named.port.is_none());
    let mut hosts: Vec<Host> =
        portless.map(|named| Host { name: named.name.clone(), schemes: either, is_near: false }).collect();
    let mut add = |name: &str, port: u16, schemes: &'static [&'static str], is_near: bool| {
        hosts.push(Host { name: format!("{name}:{port}"), schemes, is_near });
        // Browsers leave the default port out.
        let default = schemes.iter().find(|scheme| matches!((**scheme, port), ("https", 443) | ("http", 80)));
        let schemes = default.map(std::slice::from_ref);
        hosts.extend(schemes.map(|schemes| Host { name: name.to_owned(), schemes, is_near }));
    };
    for name in ["127.0.0.1", "localhost", "[::1]"] {
        add(name, address.port(), own, true);
    }
    if !address.ip().is_unspecified() {
        let name = if address.is_ipv6() { format!("[{}]", address.ip()) } else { address.ip().to_string() };
        add(&name, address.port(), own, true);
    }
    for HostName { name, port } in named {
        add(name, port.unwrap_or(address.port()), either, false);
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(address: &str, named: &[&str], tls: bool) -> Vec<String> {
        let named: Vec<_> = named.iter().map(|name| name.parse().unwrap()).collect();
        hosts(address.parse().unwrap(), &named, tls).into_iter().map(|host| host.name).collect()
    }

    #[test]
    fn a_loopback_service_is_called_by_the_names_of_this_machine_with_its_port() {
        let expected = ["127.0.0.1:50051", "localhost:50051", "[::1]:50051", "127.0.0.2:50051"];
        assert_eq!(names("127.0.0.2:50051", &[], false), expected);
        assert_eq!(names("0.0.0.0:50051", &[], true), expected[..3], "0.0.0.0 is no name");
    }

    #[test]
    fn the_default_port_may_be_left_out() {
        assert!(names("127.0.0.1:80", &[], false).contains(&"localhost".to_owned()));
        assert!(names("127.0.0.1:443", &[], true).contains(&"localhost".to_owned()));
        assert!(!names("127.0.0.1:443", &[], false).contains(&"localhost".to_owned()));
    }

    #[test]
    fn a_name_is_good_with_its_port_and_without_one_on_the_ports_that_it_may_mean() {
        let named = names("127.0.0.1:50051", &["Tasks.example.org"], false);
        for name in ["tasks.example.org", "tasks.example.org:50051"] {
            assert!(named.contains(&name.to_owned()), "{named:?}");
        }
        let portless = hosts("127.0.0.1:80".parse().unwrap(), &["a.test".parse().unwrap()], false);
        assert!(portless.iter().any(|host| host.name == "a.test" && host.schemes == ["https", "http"]));
        let named = names("127.0.0.1:50051", &["a.test:8443"], false);
        assert!(named.contains(&"a.test:8443".to_owned()) && !named.contains(&"a.test".to_owned()));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for bad in
            ["", "http://a", "a/b", "a:b", "a:99999", "a b", "0.0.0.0", "0.0.0.0:1", "[::]", "[x]", "user@a", "a,b"]
        {
            assert!(bad.parse::<HostName>().is_err(), "{bad:?}");
        }
        let six: HostName = "[2001:db8::1]:443".parse().unwrap();
        assert_eq!((six.name(), six.authority(1)), ("2001:db8::1", "[2001:db8::1]:443".to_owned()));
        assert_eq!("[2001:db8::1]".parse::<HostName>().unwrap().authority(7), "[2001:db8::1]:7");
    }
}
