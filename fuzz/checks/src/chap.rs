//! CHAP: a client's password matches and no other of the candidates does, in a request of RFC 2865 as in one of
//! RADIUS/1.1; what a packet lacks or has too much of is the exact error.

use krad::{
    AttributeType, Chap, ChapError, Identifier, MessageAuthenticatorRule, Packet, RequestBuilder,
    SharedSecret, chap_password,
};

use crate::structured;

/// Checks any password, challenge and candidate, and any values of the attributes.
pub fn check(input: &[u8]) {
    structured(input, alone);
    structured(input, in_a_request);
}

fn alone(input: (u8, u8, &[u8], &[u8])) {
    let (identifier, bit, challenge, password) = input;
    let value = chap_password(identifier, password, challenge);
    assert_eq!(value[0], identifier);
    let chap = Chap::new(&value, challenge).expect("17 octets");
    assert!(bool::from(chap.matches(password)));

    // Another password, identifier or challenge, and another response, do not match.
    let longer = [password, b"x"].concat();
    assert!(!bool::from(chap.matches(&longer)));
    let mut changed = value;
    let bit = usize::from(bit) % (8 * value.len());
    changed[bit / 8] ^= 1 << (bit % 8);
    assert!(
        !bool::from(
            Chap::new(&changed, challenge)
                .expect("17 octets")
                .matches(password)
        ),
        "bit {bit}"
    );
    let other = [b"x", challenge].concat();
    assert!(!bool::from(
        Chap::new(&value, &other).expect("17 octets").matches(password)
    ));
    for length in [0, 16] {
        assert_eq!(
            Chap::new(&value[..length], challenge).err(),
            Some(ChapError::Length(length))
        );
    }
}

fn in_a_request(input: ([u8; 16], Vec<(u8, Vec<u8>)>)) {
    let (authenticator, attributes) = input;
    let secret = SharedSecret::new(b"foo");
    let mut builder = RequestBuilder::access_request(Identifier(7), authenticator.into(), &secret);
    let mut values: [Vec<Vec<u8>>; 3] = Default::default();
    for (choice, value) in attributes {
        let choice = usize::from(choice % 3);
        let kind = [
            AttributeType::CHAP_PASSWORD,
            AttributeType::CHAP_CHALLENGE,
            AttributeType::USER_PASSWORD,
        ][choice];
        let longer = match choice {
            2 => builder.clone().user_password(&value),
            _ => builder.clone().with(kind, &value),
        };
        if let Ok(longer) = longer {
            builder = longer;
            values[choice].push(value);
        }
    }
    let Ok(pending) = builder.build() else { return };
    let packet = Packet::decode(pending.octets()).expect("what was written can be read");
    let request = packet
        .authenticate(&secret, MessageAuthenticatorRule::Required)
        .expect("it is authentic");

    let [passwords, challenges, clear] = values;
    let expected = match (passwords.as_slice(), challenges.as_slice()) {
        ([], _) => Ok(None),
        ([_, _, ..], _) => Err(ChapError::Repeated(AttributeType::CHAP_PASSWORD)),
        _ if !clear.is_empty() => Err(ChapError::WithUserPassword),
        (_, [_, _, ..]) => Err(ChapError::Repeated(AttributeType::CHAP_CHALLENGE)),
        (_, [challenge]) if challenge.len() < 5 => Err(ChapError::ChallengeLength(challenge.len())),
        ([password], _) if password.len() != 17 => Err(ChapError::Length(password.len())),
        ([password], challenges) => Ok(Some((
            password,
            challenges.first().map_or(&authenticator[..], Vec::as_slice),
        ))),
    };
    let chap = request.chap();
    assert_eq!(chap.as_ref().err(), expected.as_ref().err());
    let (Ok(Some(chap)), Ok(Some((password, challenge)))) = (chap, expected) else {
        return;
    };
    // What matches is what makes the same value over the challenge that counts.
    let same = chap_password(password[0], b"755224", challenge) == password.as_slice();
    assert_eq!(bool::from(chap.matches(b"755224")), same);
}
