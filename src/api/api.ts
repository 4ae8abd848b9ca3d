import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { PlatformError } from "../lib/platform-error.ts";
import { version } from "../lib/version.ts";
import type { Platform } from "../platform.ts";
import { conditional } from "./conditional.ts";
import { door } from "./door.ts";
import { logAddresses } from "./log-addresses.ts";
import { createLogins } from "./logins.ts";
import { openApiApi } from "./openapi.ts";
import type { ApiEnvironment } from "./policy.ts";
import { createRequestBudgets } from "./request-budgets.ts";
import { absentApi } from "./resources/absent.ts";
import { accountApi } from "./resources/account.ts";
import { acmApi } from "./resources/acm.ts";
import { accountFeaturesApi } from "./resources/account-features.ts";
import { appTransfersApi } from "./resources/app-transfers.ts";
import { appsApi } from "./resources/apps.ts";
import { buildOutputsApi, buildsApi } from "./resources/builds.ts";
import { buildpackInstallationsApi } from "./resources/buildpack-installations.ts";
import { buildpackRegistryApi } from "./resources/buildpack-registry.ts";
import { collaboratorsApi } from "./resources/collaborators.ts";
import { configVarsApi } from "./resources/config-vars.ts";
import { containerImagesApi } from "./resources/container-images.ts";
import { domainsApi } from "./resources/domains.ts";
import { attachApi, dynosApi, type MeetingPlaces, waitingDynos } from "./resources/dynos.ts";
import { dynoSizesApi } from "./resources/dyno-sizes.ts";
import { featuresApi } from "./resources/features.ts";
import { formationApi } from "./resources/formation.ts";
import { keysApi } from "./resources/keys.ts";
import { logSessionsApi, logStreamsApi } from "./resources/log-sessions.ts";
import { loginApi } from "./resources/login.ts";
import { oauthAuthorizationsApi } from "./resources/oauth-authorizations.ts";
import { oauthClientsApi } from "./resources/oauth-clients.ts";
import { oauthTokensApi } from "./resources/oauth-tokens.ts";
import { passwordResetsApi } from "./resources/password-resets.ts";
import { placesApi } from "./resources/places.ts";
import { rateLimitsApi } from "./resources/rate-limits.ts";
import { releaseOutputsApi, releasesApi } from "./resources/releases.ts";
import { slugBlobsApi, slugsApi } from "./resources/slugs.ts";
import { sourceBlobsApi, sourcesApi } from "./resources/sources.ts";
import { sniEndpointsApi } from "./resources/sni-endpoints.ts";
import { visitorRulesApi } from "./resources/visitor-rules.ts";
import { secondFactorApi } from "./resources/second-factor.ts";
import { stacksApi } from "./resources/stacks.ts";
import { teamPermissionsApi } from "./resources/team-permissions.ts";
import { respondToError, respondToUnknownRoute } from "./respond-to-error.ts";
import type { RegisteredHandler } from "./route-facts.ts";

export type Api = ReturnType<typeof createApi>;

const maxBodyBytes = 1024 * 1024;

export interface ApiOptions {
  /** Where the clients of attached dynos come; only our own can, when left out. */
  places?: MeetingPlaces;
  attachLimitMs?: number;
  /** What each account may ask in an hour; Heroku's 4500 when left out. */
  requestsPerHour?: number | undefined;
  /** Aborted when the server stops: logs that are followed end in order. */
  stopping?: AbortSignal | undefined;
}

/**
 * The API of the platform in Heroku's shapes. Serve it with
 * `Bun.serve({ fetch: (request, server) => api.fetch(request, { server }), websocket })`.
 */
export function createApi(platform: Platform, options: ApiOptions = {}) {
  const addresses = logAddresses(platform.vault);
  const { stopping } = options;
  const places = options.places ?? {
    waiting: waitingDynos(platform, options.attachLimitMs),
    rendezvousOf: () => undefined,
  };
  const budgets = createRequestBudgets(options.requestsPerHour);
  const logins = createLogins(platform);
  let own: OwnApi | undefined;
  const again = (request: Request, env: object) => (own as OwnApi).fetch(request, env);
  const api = new Hono<ApiEnvironment>()
    .onError(respondToError(platform.urls.api))
    .notFound(respondToUnknownRoute)
    .use(async (c, next) => {
      const request = withOverriddenMethod(c.req.raw);
      if (request) return again(request, c.env);
      c.header("Request-Id", requestId(c.req.header("X-Request-Id")));
      c.header("Cache-Control", "private, no-cache");
      c.header("Stator-Version", version);
      return next();
    })
    // Nothing below has a way around the door: what may be asked by whom stands at each route.
    .use(door(platform, { budgets, logins }))
    .route("/log-streams", logStreamsApi(platform, { addresses, stopping }))
    .route("/release-outputs", releaseOutputsApi(platform))
    .route("/build-outputs", buildOutputsApi(platform))
    .route("/source-blobs", sourceBlobsApi(platform))
    .route("/slug-blobs", slugBlobsApi(platform))
    .route("/attach", attachApi(places.waiting))
    .use(bodyLimit({ maxSize: maxBodyBytes, onError: refuseLargeBody }))
    .route("/", loginApi(platform, { logins }))
    .use(conditional(again))
    .route("/", accountApi(platform, { logins }))
    .route("/", accountFeaturesApi())
    .route("/", buildpackRegistryApi())
    .route("/", secondFactorApi(platform, { logins }))
    .route("/", keysApi(platform))
    .route("/", rateLimitsApi(budgets))
    .route("/", passwordResetsApi(platform))
    .route("/", oauthAuthorizationsApi(platform))
    .route("/", oauthClientsApi(platform))
    .route("/", oauthTokensApi(platform))
    .route("/", dynoSizesApi(platform))
    .route("/", stacksApi(platform))
    .route("/", placesApi())
    .route("/", appsApi(platform))
    .route("/", appTransfersApi(platform))
    .route("/", collaboratorsApi(platform))
    .route("/", teamPermissionsApi())
    .route("/apps", acmApi(platform))
    .route("/apps", buildpackInstallationsApi(platform))
    .route("/apps", buildsApi(platform))
    .route("/apps", configVarsApi(platform))
    .route("/apps", containerImagesApi(platform))
    .route("/apps", domainsApi(platform))
    .route("/apps", dynosApi(platform, places))
    .route("/apps", featuresApi(platform))
    .route("/apps", formationApi(platform))
    .route("/apps", logSessionsApi(platform, addresses))
    .route("/apps", releasesApi(platform))
    .route("/apps", slugsApi(platform))
    .route("/apps", sniEndpointsApi(platform))
    .route("/apps", visitorRulesApi(platform))
    .route("/", sourcesApi(platform))
    .route(
      "/",
      openApiApi(platform, () => (own as OwnApi).routes),
    )
    .route("/", absentApi());
  own = api;
  return api;
}

/** What some routes ask of the whole. */
interface OwnApi {
  fetch(request: Request, env: object): Response | Promise<Response>;
  routes: RegisteredHandler[];
}

/** For clients whose way lets only GET and POST through (contract §9.1). */
function withOverriddenMethod(request: Request): Request | undefined {
  const method = request.headers.get("X-HTTP-Method-Override")?.toUpperCase();
  if (request.method !== "POST" || !["PUT", "PATCH", "DELETE"].includes(method ?? ""))
    return undefined;
  return new Request(request, { method: method as string });
}

function requestId(given: string | undefined): string {
  return given !== undefined && /^[A-Za-z0-9+/=-]{20,200}$/.test(given)
    ? given
    : crypto.randomUUID();
}

function refuseLargeBody(): never {
  throw new PlatformError("bad_request", "The request body is over 1 MB.");
}
