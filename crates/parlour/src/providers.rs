//! The providers whose interfaces `dns-update` speaks: what each is told, and how it is reached. Left out are those that do
//! not say what they have (so that nothing of others could be spared), and those that have no SRV records.

use dns_update::DnsUpdater;
use dns_update::providers::azuredns::{AzureDnsConfig, AzureEnvironment};
use dns_update::providers::google_cloud_dns::GoogleCloudDnsConfig;
use dns_update::providers::infoblox::InfobloxConfig;
use dns_update::providers::joker::JokerAuth;
use dns_update::providers::lightsail::LightsailConfig;
use dns_update::providers::ovh::OvhEndpoint;
use dns_update::providers::route53::Route53Config;
use dns_update::providers::volcengine::VolcengineConfig;
use dns_update::providers::yandexcloud::YandexCloudConfig;
use std::collections::BTreeMap;
use std::time::Duration;
use wire::Secret;

/// How long a provider may take for one request.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a provider is told, by its key in `dns.provider`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Field {
    /// Who signs in, or the public half of a pair of keys.
    User,
    /// The secret.
    Token,
    /// The second secret of providers that have two.
    Secret,
    /// The account, project or customer within the provider.
    Account,
    /// The region, or which of the provider's interfaces.
    Region,
    /// Where the interface is, of software that people run themselves.
    Server,
}

impl Field {
    pub(crate) const ALL: [Self; 6] =
        [Self::User, Self::Token, Self::Secret, Self::Account, Self::Region, Self::Server];

    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Token => "token",
            Self::Secret => "secret",
            Self::Account => "account",
            Self::Region => "region",
            Self::Server => "server",
        }
    }

    pub(crate) const fn is_secret(self) -> bool {
        matches!(self, Self::Token | Self::Secret)
    }
}

/// What a provider is told; all of it is kept as a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Given(BTreeMap<Field, Secret>);

impl Given {
    pub(crate) fn set(&mut self, field: Field, value: Secret) {
        self.0.insert(field, value);
    }

    pub(crate) fn has(&self, field: Field) -> bool {
        self.0.contains_key(&field)
    }

    /// The text; none where it is not given, or no text.
    fn may(&self, field: Field) -> Option<&str> {
        self.0.get(&field).and_then(|value| std::str::from_utf8(value.expose()).ok())
    }

    fn get(&self, field: Field) -> &str {
        self.may(field).unwrap_or_default()
    }

    fn owned(&self, field: Field) -> String {
        self.get(field).to_owned()
    }

    /// What must not be seen of it.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        Field::ALL.into_iter().filter(|field| field.is_secret()).filter_map(|field| self.may(field))
    }
}

type Open = fn(&Given) -> dns_update::Result<DnsUpdater>;

/// A provider.
#[derive(Debug)]
pub(crate) struct Provider {
    /// As `dns.provider` calls it.
    pub(crate) name: &'static str,
    pub(crate) needs: &'static [Field],
    pub(crate) may: &'static [Field],
    pub(crate) open: Open,
}

impl PartialEq for Provider {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Provider {}

/// The provider of this name.
pub(crate) fn find(name: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.name == name)
}

const T: Option<Duration> = Some(PATIENCE);
use Field::{Account, Region, Secret as Second, Server, Token, User};

const fn row(name: &'static str, needs: &'static [Field], open: Open) -> Provider {
    Provider { name, needs, may: &[], open }
}

const fn with(name: &'static str, needs: &'static [Field], may: &'static [Field], open: Open) -> Provider {
    Provider { name, needs, may, open }
}

/// All of them, by name.
pub(crate) const PROVIDERS: &[Provider] = &[
    with("alidns", &[Token, Second], &[Region], |g| {
        DnsUpdater::new_alidns(g.get(Token), g.get(Second), g.may(Region), None::<&str>, None::<&str>, T)
    }),
    row("arvancloud", &[Token], |g| DnsUpdater::new_arvancloud(g.get(Token), T)),
    row("autodns", &[User, Token], |g| DnsUpdater::new_autodns(g.get(User), g.get(Token), None, T)),
    row("azuredns", &[User, Token, Account], |g| {
        let mut parts = g.get(Account).splitn(3, '/').map(str::to_owned);
        let mut part = || parts.next().unwrap_or_default();
        DnsUpdater::new_azuredns(AzureDnsConfig {
            tenant_id: part(),
            subscription_id: part(),
            resource_group: part(),
            client_id: g.owned(User),
            client_secret: g.owned(Token),
            environment: AzureEnvironment::Public,
            request_timeout: T,
        })
    }),
    row("baiducloud", &[Token, Second], |g| DnsUpdater::new_baiducloud(g.get(Token), g.get(Second), T)),
    row("bunny", &[Token], |g| DnsUpdater::new_bunny(g.get(Token), T)),
    row("cloudflare", &[Token], |g| DnsUpdater::new_cloudflare(g.get(Token), T)),
    row("cloudns", &[User, Token], |g| {
        DnsUpdater::new_cloudns(Some(g.get(User)), None::<&str>, g.get(Token), T)
    }),
    row("constellix", &[Token, Second], |g| DnsUpdater::new_constellix(g.get(Token), g.get(Second), T)),
    row("cpanel", &[Server, User, Token], |g| {
        DnsUpdater::new_cpanel(g.get(Server), g.get(User), g.get(Token), T)
    }),
    row("desec", &[Token], |g| DnsUpdater::new_desec(g.get(Token), T)),
    row("digitalocean", &[Token], |g| DnsUpdater::new_digitalocean(g.get(Token), T)),
    row("dnsimple", &[Account, Token], |g| DnsUpdater::new_dnsimple(g.get(Token), g.get(Account), T)),
    row("dnsmadeeasy", &[Token, Second], |g| DnsUpdater::new_dnsmadeeasy(g.get(Token), g.get(Second), T)),
    row("domeneshop", &[Token, Second], |g| DnsUpdater::new_domeneshop(g.get(Token), g.get(Second), T)),
    row("dynu", &[Token], |g| DnsUpdater::new_dynu(g.get(Token), T)),
    row("easydns", &[Token, Second], |g| DnsUpdater::new_easydns(g.get(Token), g.get(Second), T)),
    row("exoscale", &[Token, Second], |g| DnsUpdater::new_exoscale(g.get(Token), g.get(Second), T)),
    row("gandiv5", &[Token], |g| DnsUpdater::new_gandiv5(g.get(Token), T)),
    row("gcore", &[Token], |g| DnsUpdater::new_gcore(g.get(Token), T)),
    row("glesys", &[User, Token], |g| DnsUpdater::new_glesys(g.get(User), g.get(Token), T)),
    row("godaddy", &[Token, Second], |g| DnsUpdater::new_godaddy(g.get(Token), g.get(Second), T)),
    row("google", &[Account, Token], |g| {
        DnsUpdater::new_google_cloud_dns(GoogleCloudDnsConfig {
            service_account_json: g.owned(Token),
            project_id: g.owned(Account),
            managed_zone: None,
            private_zone: false,
            impersonate_service_account: None,
            request_timeout: T,
        })
    }),
    row("hetzner", &[Token], |g| DnsUpdater::new_hetzner(g.get(Token), T)),
    row("hostingde", &[Token], |g| DnsUpdater::new_hostingde(g.get(Token), T)),
    row("hostinger", &[Token], |g| DnsUpdater::new_hostinger(g.get(Token), T)),
    row("huaweicloud", &[Token, Second, Region], |g| {
        DnsUpdater::new_huaweicloud(g.get(Token), g.get(Second), g.get(Region), T)
    }),
    row("infoblox", &[Server, User, Token], |g| {
        DnsUpdater::new_infoblox(InfobloxConfig {
            host: g.owned(Server),
            port: None,
            username: g.owned(User),
            password: g.owned(Token),
            wapi_version: None,
            dns_view: None,
            request_timeout: T,
        })
    }),
    row("infomaniak", &[Token], |g| DnsUpdater::new_infomaniak(g.get(Token), T)),
    row("inwx", &[User, Token], |g| DnsUpdater::new_inwx(g.get(User), g.get(Token), false, T)),
    row("ionos", &[Token], |g| DnsUpdater::new_ionos(g.get(Token), T)),
    row("joker", &[Token], |g| DnsUpdater::new_joker(JokerAuth::api_key(g.get(Token)), T)),
    with("lightsail", &[User, Token], &[Region], |g| {
        DnsUpdater::new_lightsail(LightsailConfig {
            access_key_id: g.owned(User),
            secret_access_key: g.owned(Token),
            session_token: None,
            region: g.may(Region).map(str::to_owned),
            domain: None,
            request_timeout: T,
        })
    }),
    row("linode", &[Token], |g| DnsUpdater::new_linode(g.get(Token), T)),
    row("luadns", &[User, Token], |g| DnsUpdater::new_luadns(g.get(User), g.get(Token), T)),
    row("mythicbeasts", &[User, Token], |g| DnsUpdater::new_mythicbeasts(g.get(User), g.get(Token), T)),
    row("namedotcom", &[User, Token], |g| DnsUpdater::new_namedotcom(g.get(User), g.get(Token), T)),
    row("namesilo", &[Token], |g| DnsUpdater::new_namesilo(g.get(Token), T)),
    row("netcup", &[User, Token, Second], |g| {
        DnsUpdater::new_netcup(g.get(User), g.get(Token), g.get(Second), T)
    }),
    row("netlify", &[Token], |g| DnsUpdater::new_netlify(g.get(Token), T)),
    row("ns1", &[Token], |g| DnsUpdater::new_ns1(g.get(Token), T)),
    row("ovh", &[User, Second, Token, Region], |g| {
        let endpoint = g.get(Region).parse::<OvhEndpoint>();
        let endpoint =
            endpoint.map_err(|_| dns_update::Error::Client("region is not one of OVH's".into()))?;
        DnsUpdater::new_ovh(g.get(User), g.get(Second), g.get(Token), endpoint, T)
    }),
    row("plesk", &[Server, Token], |g| DnsUpdater::new_plesk(g.get(Server), g.get(Token), T)),
    row("porkbun", &[Token, Second], |g| DnsUpdater::new_porkbun(g.get(Token), g.get(Second), T)),
    row("powerdns", &[Server, Token], |g| {
        DnsUpdater::new_pdns(g.get(Token), Some(g.get(Server)), None::<&str>, T)
    }),
    with("route53", &[User, Token], &[Region, Account], |g| {
        DnsUpdater::new_route53(Route53Config {
            access_key_id: g.owned(User),
            secret_access_key: g.owned(Token),
            session_token: None,
            region: g.may(Region).map(str::to_owned),
            hosted_zone_id: g.may(Account).map(str::to_owned),
            private_zone_only: None,
            endpoint: None,
        })
    }),
    row("safedns", &[Token], |g| DnsUpdater::new_safedns(g.get(Token), T)),
    row("scaleway", &[Token], |g| DnsUpdater::new_scaleway(g.get(Token), T)),
    row("simplycom", &[User, Token], |g| DnsUpdater::new_simplycom(g.get(User), g.get(Token), T)),
    row("spaceship", &[Token, Second], |g| DnsUpdater::new_spaceship(g.get(Token), g.get(Second), T)),
    with("tencentcloud", &[Token, Second], &[Region], |g| {
        DnsUpdater::new_tencentcloud(g.get(Token), g.get(Second), g.may(Region), None::<&str>, T)
    }),
    row("transip", &[User, Token], |g| DnsUpdater::new_transip(g.get(User), g.get(Token), true, T)),
    with("ultradns", &[User, Token], &[Server], |g| {
        let server = g.may(Server).map(str::to_owned);
        DnsUpdater::new_ultradns(g.get(User), g.get(Token), server, T)
    }),
    with("vercel", &[Token], &[Account], |g| DnsUpdater::new_vercel(g.get(Token), g.may(Account), T)),
    with("volcengine", &[Token, Second], &[Region], |g| {
        DnsUpdater::new_volcengine(VolcengineConfig {
            access_key: g.owned(Token),
            secret_key: g.owned(Second),
            region: g.may(Region).map(str::to_owned),
            host: None,
            scheme: None,
            request_timeout: T,
        })
    }),
    row("vultr", &[Token], |g| DnsUpdater::new_vultr(g.get(Token), T)),
    row("websupport", &[Token, Second], |g| DnsUpdater::new_websupport(g.get(Token), g.get(Second), T)),
    row("yandexcloud", &[Account, Token], |g| {
        DnsUpdater::new_yandexcloud(YandexCloudConfig {
            iam_token_b64: g.owned(Token),
            folder_id: g.owned(Account),
            request_timeout: T,
        })
    }),
    row("zoneeu", &[User, Token], |g| DnsUpdater::new_zoneeu(g.get(User), g.get(Token), T)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_provider_stands_in_the_administrators_page_and_can_be_opened() {
        let page = include_str!("../../../docs/domains.md");
        for provider in PROVIDERS {
            let mut given = Given::default();
            for field in provider.needs.iter().chain(provider.may) {
                let value = if *field == Region && provider.name == "ovh" { "ovh-eu" } else { "eu-1" };
                given.set(*field, Secret::new(value));
            }
            let needs: Vec<_> = provider.needs.iter().map(|field| format!("`{}`", field.key())).collect();
            let line = page.lines().find(|line| line.contains(&format!("`{}`", provider.name)));
            let line = line.unwrap_or_else(|| panic!("{} is not in docs/domains.md", provider.name));
            for need in needs {
                assert!(line.contains(&need), "{}: {need} is not in docs/domains.md", provider.name);
            }
            // Those that want a key of a certain shape say so.
            let opened = (provider.open)(&given);
            let shaped = matches!(provider.name, "google" | "transip");
            assert!(opened.is_ok() || shaped, "{}: {:?}", provider.name, opened.err());
        }
        assert!(PROVIDERS.is_sorted_by_key(|provider| provider.name));
        assert!(find("desec").is_some() && find("DESEC").is_none());
    }
}
