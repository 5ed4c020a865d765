//! Logging in with a browser.

use std::time::Duration;

use crate::Material;
use crate::decode::{At, Fields, Setting, spec};
use crate::values::{Name, TargetPath};

spec! {
    /// Logs browsers in at the issuer, by OpenID Connect's authorization code flow with PKCE, on routes of dialect `http` that
    /// accept the provider. Who comes with a browser and without a credential is sent to the issuer; who comes back has a
    /// session, in a cookie that is sealed and sent to this host alone. The session has the principal that a token with the id
    /// token's claims would have. Needs TLS, and an issuer that publishes its endpoints (OpenID Connect Discovery 1.0).
    pub struct BrowserLogin {
        /// Our `client_id` at the issuer, and the audience of its id tokens.
        [E] client_id: At<String>,
        /// The client's secret, sent to the token endpoint by HTTP Basic (RFC 6749 §2.3.1). Without one the client is public.
        [E] client_secret_from: Option<At<Material>>,
        /// Scopes that are asked for, besides `openid`.
        [E] scopes: Setting<Vec<At<String>>> = "[profile]",
        /// Where the issuer sends browsers back to. `https://<host><callbackPath>` has to be registered there for every host.
        [E] callback_path: Setting<TargetPath> = "/.postern/callback",
        /// A POST to it from a page of the same host ends the session, here and, where the issuer has an endpoint for that, there.
        [E] logout_path: Setting<TargetPath> = "/.postern/logout",
        /// Where the issuer tells of users who logged out (OpenID Connect Back-Channel Logout 1.0).
        [E] back_channel_path: Setting<TargetPath> = "/.postern/backchannel-logout",
        /// Longest time from login to the next one.
        [E, max "24h"] session_age: Setting<Duration> = "8h",
        /// Longest time between two requests.
        [E, max "24h"] idle_timeout: Setting<Duration> = "30m",
        /// A key of a KeyManagementPolicy with purpose `StateSealing`. Replicas need the same one. Without a name the process
        /// makes one and keeps it in the state directory.
        [E] key_name: Option<At<Name>>,
    }
    check check_browser
}

fn check_browser(browser: &BrowserLogin, fields: &mut Fields<'_, '_, '_>) {
    let position = fields.position.clone();
    let (callback, logout, told) =
        (browser.callback_path.as_str(), browser.logout_path.as_str(), browser.back_channel_path.as_str());
    if callback == logout || logout == told || callback == told {
        fields.cx.shape(&position, "two of the paths of a login are one", "write different paths");
    }
    if browser.session_age.is_zero() || browser.idle_timeout.is_zero() {
        fields.cx.shape(&position, "a session of no time is none", "use times such as `8h` and `30m`");
    }
    let is_client = |text: &str| !text.is_empty() && text.len() <= 256 && text.chars().all(|c| c.is_ascii_graphic());
    if !is_client(&browser.client_id.value) {
        fields.cx.shape(
            &position,
            "`clientId` is no client",
            "write the id that the issuer gave out, in visible ASCII",
        );
    }
    let is_scope = |text: &str| {
        !text.is_empty() && text.len() <= 256 && text.chars().all(|c| c.is_ascii_graphic() && c != '"' && c != '\\')
    };
    if !browser.scopes.iter().all(|scope| is_scope(&scope.value)) {
        fields.cx.shape(&position, "one of the `scopes` is no scope", "write each by itself, in visible ASCII");
    }
}
