//! Keys that callers hold.

use crate::decode::{At, Fields, spec};
use crate::values::{Issuer, KeyPrefix, Name};
use crate::{Code, Material, PrincipalType};

spec! {
    /// Keys that callers hold, made by `postern api-key new`. A key comes as `Authorization: Bearer KEY` or `x-api-key: KEY`, never
    /// in both and never in a query. It is a bearer credential: whoever has it is its principal.
    pub struct ApiKeyProvider {
        /// Named by `authentication.providers` of an APIAccessPolicy.
        [E] name: At<Name>,
        /// Who gives the keys out. A principal is this and the key's `id`; a name and not an address, nobody calls it.
        [E] issuer: At<Issuer>,
        /// How every key begins. It tells keys from tokens, and lets scanners find keys that leaked.
        [E] prefix: At<KeyPrefix>,
        /// What is known of the keys, one JSON object a line: `id`, `sha256` (64 hex digits), `tenant`, `notAfter`, and `groups`
        /// where the key has any. Watched and reloaded. The keys themselves are nowhere.
        [E] keys_from: At<Material>,
        /// What a key makes of its holder.
        [E] principal: At<KeyPrincipal>,
        /// The tenants this provider may assert; a file that names any other does not load.
        [E] tenants: At<Vec<At<String>>>,
    }
    check check_api_key
}

fn check_api_key(keys: &ApiKeyProvider, fields: &mut Fields<'_, '_, '_>) {
    if let Material::Env(_) = keys.keys_from.value {
        let help = "put the lines into a file: it is watched, so that a key can be taken back at once";
        keys.keys_from.error(fields.cx.report, Code(2), "keys are not read from a variable", help);
    }
}

spec! {
    /// What a key makes of its holder.
    pub struct KeyPrincipal {
        /// Its type.
        [E] kind as "type": At<PrincipalType>,
    }
}
