<?php
// Checks the gateway's assertion with PHP 8.1 or newer and its own openssl. Not run by our tests.
declare(strict_types=1);

final class AssertionRefused extends RuntimeException {}

final class AssertionVerifier
{
    private const MAX_CHARS = 4096;
    private const MAX_SET_BYTES = 16384;
    private const LEEWAY = 5;
    private const KEEP_SECONDS = 300;
    private const RETRY_SECONDS = 5;

    /**
     * $gateway: its origin. $audience: portal.audience of its settings.
     * $cacheFile: where the keys are kept between requests; nobody but the portal may write there.
     */
    public function __construct(
        private string $gateway,
        private string $audience,
        private string $cacheFile,
    ) {}

    /** Takes $_SERVER['HTTP_X_CPS_ASSERTION'] ?? null. What it throws is answered with 403. */
    public function requireProfessional(?string $assertion): array
    {
        $form = '/\A[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{86}\z/';
        if ($assertion === null || strlen($assertion) > self::MAX_CHARS || !preg_match($form, $assertion)) {
            throw new AssertionRefused('no assertion');
        }
        [$head, $body, $signature] = explode('.', $assertion);
        $header = $this->parse($head);
        if (count($header) !== 3 || ($header['alg'] ?? null) !== 'ES256' || ($header['typ'] ?? null) !== 'JWT'
            || !is_string($header['kid'] ?? null)) {
            throw new AssertionRefused('another header');
        }
        $der = self::derSignature(self::decode($signature));
        $key = $this->keyNamed($header['kid']);
        if (openssl_verify("$head.$body", $der, $key, OPENSSL_ALGO_SHA256) !== 1) {
            throw new AssertionRefused('bad signature');
        }
        $claims = $this->parse($body);
        $this->requireMeantForNow($claims);
        return $claims;
    }

    private function requireMeantForNow(array $c): void
    {
        $now = time();
        foreach (['iat', 'nbf', 'exp'] as $name) {
            if (!is_int($c[$name] ?? null)) {
                throw new AssertionRefused($name);
            }
        }
        foreach (['SubjectNameID', 'given_name', 'family_name', 'card_type'] as $name) {
            if (!is_string($c[$name] ?? null) || $c[$name] === '') {
                throw new AssertionRefused($name);
            }
        }
        if (($c['iss'] ?? null) !== $this->gateway || ($c['aud'] ?? null) !== $this->audience
            || ($c['sub'] ?? null) !== 'cps:' . $c['SubjectNameID']
            || $c['nbf'] - self::LEEWAY > $now || $now >= $c['exp'] + self::LEEWAY
            || $c['iat'] > $c['exp'] || $c['exp'] > $c['iat'] + 60 || $c['iat'] > $now + self::LEEWAY) {
            throw new AssertionRefused('other claims');
        }
    }

    private function keyNamed(string $kid): OpenSSLAsymmetricKey
    {
        $age = is_file($this->cacheFile) ? time() - filemtime($this->cacheFile) : PHP_INT_MAX;
        $keys = $age <= self::KEEP_SECONDS ? $this->readKeys((string) file_get_contents($this->cacheFile)) : [];
        if (!isset($keys[$kid]) && $age >= self::RETRY_SECONDS) {
            $context = stream_context_create(['http' => ['timeout' => 3, 'follow_location' => 0, 'max_redirects' => 1]]);
            $address = $this->gateway . '/_cps/.well-known/jwks.json';
            $fresh = @file_get_contents($address, false, $context, 0, self::MAX_SET_BYTES);
            $keys = $fresh === false ? [] : $this->readKeys($fresh);
            if ($keys !== []) {
                $draft = tempnam(dirname($this->cacheFile), 'keys');
                file_put_contents($draft, $fresh);
                rename($draft, $this->cacheFile);
            }
        }
        return $keys[$kid] ?? throw new AssertionRefused('no such key');
    }

    private function readKeys(string $text): array
    {
        $keys = [];
        foreach (json_decode($text, true, 8)['keys'] ?? [] as $jwk) {
            if (($jwk['kty'] ?? '') !== 'EC' || ($jwk['crv'] ?? '') !== 'P-256' || ($jwk['alg'] ?? '') !== 'ES256'
                || ($jwk['use'] ?? '') !== 'sig') {
                continue;
            }
            $x = self::decode((string) $jwk['x']);
            $y = self::decode((string) $jwk['y']);
            if (strlen($x) !== 32 || strlen($y) !== 32) {
                continue;
            }
            // SubjectPublicKeyInfo of a point on P-256 (RFC 5480): a fixed beginning, then the point.
            $der = hex2bin('3059301306072a8648ce3d020106082a8648ce3d030107034200') . "\x04" . $x . $y;
            $pem = "-----BEGIN PUBLIC KEY-----\n" . chunk_split(base64_encode($der), 64, "\n") . "-----END PUBLIC KEY-----\n";
            $key = openssl_pkey_get_public($pem);
            if ($key !== false) {
                $keys[(string) $jwk['kid']] = $key;
            }
        }
        return $keys;
    }

    /** Makes of r and s, 32 bytes each, what openssl wants: a SEQUENCE of two INTEGERs. */
    private static function derSignature(string $raw): string
    {
        if (strlen($raw) !== 64) {
            throw new AssertionRefused('bad signature');
        }
        $integers = '';
        foreach (str_split($raw, 32) as $number) {
            $number = ltrim($number, "\0");
            if ($number === '' || ord($number[0]) > 0x7F) {
                $number = "\0" . $number;
            }
            $integers .= "\x02" . chr(strlen($number)) . $number;
        }
        return "\x30" . chr(strlen($integers)) . $integers;
    }

    private function parse(string $part): array
    {
        $value = json_decode(self::decode($part), true, 8);
        return is_array($value) ? $value : throw new AssertionRefused('no object');
    }

    private static function decode(string $text): string
    {
        $bytes = base64_decode(strtr($text, '-_', '+/'), true);
        return $bytes !== false ? $bytes : throw new AssertionRefused('not base64url');
    }
}
