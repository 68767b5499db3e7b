// Checks the gateway's assertion with com.nimbusds:nimbus-jose-jwt 10 or newer. Not run by our tests.
import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.source.JWKSourceBuilder;
import com.nimbusds.jose.proc.DefaultJOSEObjectTypeVerifier;
import com.nimbusds.jose.proc.JWSVerificationKeySelector;
import com.nimbusds.jose.proc.SecurityContext;
import com.nimbusds.jose.util.DefaultResourceRetriever;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.proc.DefaultJWTClaimsVerifier;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import java.net.URI;
import java.util.List;
import java.util.Set;

/** Make one for the whole application, and ask it in a servlet filter that no path goes around. */
public final class Assertion {
    private static final int MAX_CHARS = 4096;

    private final DefaultJWTProcessor<SecurityContext> processor = new DefaultJWTProcessor<>();

    /** gateway: its origin. audience: portal.audience of its settings. */
    public Assertion(String gateway, String audience) throws Exception {
        var address = URI.create(gateway + "/_cps/.well-known/jwks.json").toURL();
        // Kept 300 s, renewed before they are too old, asked at most every 5 s.
        var keys = JWKSourceBuilder.create(address, new DefaultResourceRetriever(3000, 3000, 16384))
                .cache(300_000, 6_000)
                .rateLimited(5_000)
                .outageTolerant(900_000)
                .build();
        processor.setJWSKeySelector(new JWSVerificationKeySelector<>(JWSAlgorithm.ES256, keys));
        processor.setJWSTypeVerifier(new DefaultJOSEObjectTypeVerifier<>(JOSEObjectType.JWT));
        var claims = new DefaultJWTClaimsVerifier<SecurityContext>(
                audience,
                new JWTClaimsSet.Builder().issuer(gateway).build(),
                Set.of("sub", "iat", "nbf", "exp", "SubjectNameID", "given_name", "family_name", "card_type"));
        claims.setMaxClockSkew(5);
        processor.setJWTClaimsSetVerifier(claims);
    }

    /** Takes the values of the X-CPS-Assertion header. What it throws is answered with 403. */
    public JWTClaimsSet requireProfessional(List<String> values) throws Exception {
        if (values.size() != 1 || values.get(0).length() > MAX_CHARS) {
            throw new SecurityException("exactly one assertion is wanted");
        }
        var claims = processor.process(values.get(0), null);
        var life = claims.getExpirationTime().getTime() - claims.getIssueTime().getTime();
        if (claims.getAudience().size() != 1 || life < 0 || life > 60_000
                || !claims.getSubject().equals("cps:" + claims.getStringClaim("SubjectNameID"))) {
            throw new SecurityException("not an assertion");
        }
        return claims;
    }
}
