//! Where the Kubernetes API is, as every pod is told.

use std::fmt;

use http::Uri;

/// The variables of the environment that every container of Kubernetes has.
const HOST: &str = "KUBERNETES_SERVICE_HOST";
const PORT: &str = "KUBERNETES_SERVICE_PORT";

/// A Kubernetes API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiServer(Uri);

/// The environment does not say where the Kubernetes API is.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotInAPod {
    /// A variable is missing.
    #[error(
        "the environment has no {0}, which Kubernetes gives to every container: this process does not run in a pod. Only there \
         `--join kubernetes+SERVICE` works; elsewhere say with `--join HOST:PORT` or `--join srv+NAME` where other nodes listen"
    )]
    Missing(&'static str),
    /// A variable has a value that Kubernetes does not give.
    #[error(
        "{variable} in the environment is `{value}`, which is no {wanted}; Kubernetes sets it, so let nothing else do"
    )]
    Malformed {
        /// Its name.
        variable: &'static str,
        /// What it is.
        value: String,
        /// What it should be.
        wanted: &'static str,
    },
}

impl ApiServer {
    /// The one of the Kubernetes cluster that this process runs in; `variable` gives what the environment has by a name.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Result<ApiServer, NotInAPod> {
        let given = |name| variable(name).filter(|value| !value.is_empty()).ok_or(NotInAPod::Missing(name));
        let (host, port) = (given(HOST)?, given(PORT)?);
        let malformed =
            |variable, value: &str, wanted| NotInAPod::Malformed { variable, value: value.to_owned(), wanted };
        let number = port.parse::<u16>().ok().filter(|port| *port != 0);
        let number = number.ok_or_else(|| malformed(PORT, &port, "port"))?;
        let is_host = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | ':');
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let uri = format!("https://{bracketed}:{number}").parse::<Uri>().ok().filter(|_| host.chars().all(is_host));
        Ok(ApiServer(uri.ok_or_else(|| malformed(HOST, &host, "host"))?))
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }
}

impl fmt::Display for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.authority().map_or("", |authority| authority.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(host: Option<&str>, port: Option<&str>) -> Result<String, String> {
        let variable = |name: &str| if name == HOST { host } else { port }.map(str::to_owned);
        let server = ApiServer::of_environment(variable).map_err(|error| error.to_string())?;
        Ok(server.uri().to_string())
    }

    #[test]
    fn the_environment_says_where_it_is() {
        assert_eq!(server(Some("10.0.0.1"), Some("443")).unwrap(), "https://10.0.0.1:443/");
        assert_eq!(server(Some("fd00::1"), Some("6443")).unwrap(), "https://[fd00::1]:6443/");
        assert_eq!(server(Some("api.example.com"), Some("1")).unwrap(), "https://api.example.com:1/");
    }

    #[test]
    fn outside_of_a_pod_it_says_what_is_missing_and_what_to_do() {
        for (host, port, reason) in [
            (None, Some("443"), "no KUBERNETES_SERVICE_HOST"),
            (Some("h"), None, "no KUBERNETES_SERVICE_PORT"),
            (Some(""), Some("443"), "no KUBERNETES_SERVICE_HOST"),
            (Some("h"), Some("0"), "KUBERNETES_SERVICE_PORT in the environment is `0`, which is no port"),
            (Some("h"), Some("tcp://10.0.0.1:443"), "is `tcp://10.0.0.1:443`, which is no port"),
            (Some("a b"), Some("443"), "KUBERNETES_SERVICE_HOST in the environment is `a b`, which is no host"),
            (Some("user@h"), Some("443"), "is `user@h`, which is no host"),
        ] {
            let refused = server(host, port).unwrap_err();
            assert!(refused.contains(reason), "{refused}");
        }
        assert!(server(None, None).unwrap_err().contains("`--join HOST:PORT`"));
    }
}
