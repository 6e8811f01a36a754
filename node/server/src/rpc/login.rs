//! Who asks: a user of the cluster state, with the password that drivers log in with.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use photondb_cluster_state::ADMIN;
use photondb_reql::limits::PASSWORD_ITERATIONS;
use photondb_reql::wire::credentials::Credentials;
use tonic::metadata::MetadataMap;
use tonic::service::Interceptor;
use tonic::{Request, Status};

use super::accept::Caller;
use crate::client::reql::Users;
use crate::node::accounts::ClusterUsers;

/// Who asks: goes with the request, and says by being there that the password was right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asker(String);

impl Asker {
    /// Of a request that passed the [`Login`].
    pub fn of<M>(request: &Request<M>) -> Result<Asker, Status> {
        let asker = request.extensions().get::<Asker>().cloned();
        asker.ok_or_else(|| Status::unauthenticated("no login"))
    }

    /// The user's name.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Refuses everybody but `admin`.
    pub fn must_be_admin<M>(request: &Request<M>) -> Result<(), Status> {
        if Asker::of(request)?.name() == ADMIN {
            return Ok(());
        }
        Err(Status::permission_denied(format!(
            "only the user `{ADMIN}` may ask for this; other users may run queries (photonctl query, db, index, repl)"
        )))
    }
}

/// Refuses requests that do not name a user with the right password.
#[derive(Clone)]
pub(super) struct Login {
    users: Arc<LateUsers>,
}

/// The users of the node; an error before it knows them.
pub(super) type LateUsers = dyn Fn() -> Result<Arc<ClusterUsers>, Status> + Send + Sync;

impl Login {
    /// Checks against the users of the node, once it knows them.
    pub fn new(users: Arc<LateUsers>) -> Login {
        Login { users }
    }

    /// Takes as long for an unknown user as for a wrong password.
    fn accepts(users: &ClusterUsers, user: &str, password: &[u8]) -> bool {
        let decoy = || Credentials::decoy(&users.decoy_secret(), user, PASSWORD_ITERATIONS);
        users.credentials(user).unwrap_or_else(decoy).accept_password(password)
    }
}

impl Interceptor for Login {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let (user, password) = given(request.metadata())?;
        if !Login::accepts(&*(self.users)()?, &user, &password) {
            let peer = request.extensions().get::<Caller>().map(|caller| caller.address);
            tracing::info!(?peer, ?user, "login to the cluster port refused");
            return Err(Status::unauthenticated("wrong user or password"));
        }
        request.extensions_mut().insert(Asker(user));
        Ok(request)
    }
}

/// `authorization: Basic base64(user:password)`, as RFC 7617 has it.
fn given(metadata: &MetadataMap) -> Result<(String, Vec<u8>), Status> {
    let value = metadata
        .get("authorization")
        .ok_or_else(|| Status::unauthenticated("no login: metadata `authorization` is missing"))?;
    let malformed = || Status::unauthenticated("metadata `authorization` is not `Basic` and base64 of `user:password`");
    let (scheme, encoded) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    let mut user = STANDARD.decode(encoded.trim()).map_err(|_| malformed())?;
    let colon = user.iter().position(|byte| *byte == b':').ok_or_else(malformed)?;
    let password = user.split_off(colon + 1);
    user.truncate(colon);
    Ok((String::from_utf8(user).map_err(|_| malformed())?, password))
}

#[cfg(test)]
mod tests {
    use photondb_cluster_state::{ClusterState, Command};
    use photondb_runtime::random::SeededRandom;
    use tonic::Code;

    use super::*;
    use crate::node::accounts::store_password;

    /// `admin` with the password `se:cret`, `guest` without one.
    fn login() -> Login {
        let credentials = Some(store_password("se:cret", &SeededRandom::new(1)));
        let admin = Command::SetUser { name: ADMIN.to_owned(), credentials };
        let guest = Command::SetUser { name: "guest".to_owned(), credentials: None };
        let (state, _) = Arc::new(ClusterState::at_birth()).applied(&admin).unwrap();
        let (state, _) = state.applied(&guest).unwrap();
        let users = Arc::new(ClusterUsers::new(Arc::new(move || state.clone())));
        Login::new(Arc::new(move || Ok(users.clone())))
    }

    fn ask(authorization: Option<&str>) -> Result<(), Code> {
        let mut request = Request::new(());
        if let Some(value) = authorization {
            request.metadata_mut().insert("authorization", value.parse().unwrap());
        }
        let let_in = login().call(request).map_err(|status| status.code())?;
        Asker::must_be_admin(&let_in).map_err(|status| status.code())
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn the_right_password_lets_admin_in() {
        assert_eq!(ask(Some(&basic("admin:se:cret"))), Ok(()));
        assert_eq!(ask(Some(&basic("admin:se:cret").replace("Basic", "basic"))), Ok(()));
    }

    #[test]
    fn anything_else_does_not() {
        for text in ["admin:", "admin:se", "admin:se:cret ", "nobody:", "nobody:se:cret", ":", "guest:x"] {
            assert_eq!(ask(Some(&basic(text))), Err(Code::Unauthenticated), "{text}");
        }
    }

    #[test]
    fn other_users_are_known_but_may_not() {
        assert_eq!(ask(Some(&basic("guest:"))), Err(Code::PermissionDenied));
    }

    #[test]
    fn who_asks_is_known_from_the_login_alone() {
        let mut request = Request::new(());
        request.metadata_mut().insert("authorization", basic("guest:").parse().unwrap());
        let let_in = login().call(request).unwrap();
        assert_eq!(Asker::of(&let_in).unwrap().name(), "guest");
        assert_eq!(Asker::of(&Request::new(())).unwrap_err().code(), Code::Unauthenticated);
    }

    #[test]
    fn what_is_no_login_is_refused() {
        assert_eq!(ask(None), Err(Code::Unauthenticated));
        for text in ["", "Basic", "Basic ", "Basic !", "Bearer YWRtaW46", "Basic YWRtaW4=", "Basic /zo="] {
            assert_eq!(ask(Some(text)), Err(Code::Unauthenticated), "{text}");
        }
    }
}
