//! Files that an administrator could have.

/// The `kdc.conf` of a realm whose users log in with codes.
pub(super) const KDC_CONF: &str = "\
[kdcdefaults]
    kdc_ports = 88
    kdc_tcp_ports = 88

[realms]
    EXAMPLE.COM = {
        database_name = /var/lib/krb5kdc/principal
        admin_keytab = FILE:/etc/krb5kdc/kadm5.keytab
        acl_file = /etc/krb5kdc/kadm5.acl
        key_stash_file = /etc/krb5kdc/stash
        max_life = 10h 0m 0s
        max_renewable_life = 7d 0h 0m 0s
        master_key_type = aes256-cts
        supported_enctypes = aes256-cts:normal aes128-cts:normal
        default_principal_flags = +preauth
    }

[logging]
    kdc = SYSLOG:INFO:AUTH
    admin_server = SYSLOG:INFO:AUTH

[otp]
    corporate = {
        server = /run/otp-radiusd/kdc.socket
        strip_realm = true
        indicator = otp
    }
    vpn = {
        server = radius.example.com:1812
        secret = vpn.secret
        timeout = 5
        retries = 2
        strip_realm = true
        indicator = otp
        indicator = vpn
    }
    partner = {
        server = 192.0.2.7:1812
        secret = partner.secret
        strip_realm = false
    }
";

/// The `krb5.conf` of the same machine.
pub(super) const KRB5_CONF: &str = "\
# Written by the installer; see krb5.conf(5).
[libdefaults]
    default_realm = EXAMPLE.COM
    dns_lookup_realm = false
    dns_lookup_kdc = true
    rdns = false
    ticket_lifetime = 24h
    renew_lifetime = 7d
    forwardable = true
    spake_preauth_groups = edwards25519

[realms]
    EXAMPLE.COM = {
        kdc = kdc1.example.com
        kdc = kdc2.example.com
        admin_server = kdc1.example.com
    }
    PARTNER.EXAMPLE.NET = {
        kdc = kdc.partner.example.net
    }

[domain_realm]
    .example.com = EXAMPLE.COM
    example.com = EXAMPLE.COM
    .partner.example.net = PARTNER.EXAMPLE.NET
";
