import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { PlatformError } from "../lib/platform-error.ts";
import type { Platform } from "../platform.ts";
import { type ApiEnvironment, authenticate } from "./authenticate.ts";
import { requireVersion } from "./require-version.ts";
import { accountApi } from "./resources/account.ts";
import { appsApi } from "./resources/apps.ts";
import { buildsApi } from "./resources/builds.ts";
import { configVarsApi } from "./resources/config-vars.ts";
import { attachApi, dynosApi, waitingDynos } from "./resources/dynos.ts";
import { dynoSizesApi } from "./resources/dyno-sizes.ts";
import { featuresApi } from "./resources/features.ts";
import { formationApi } from "./resources/formation.ts";
import { logSessionsApi, logStreamsApi, openLogSessions } from "./resources/log-sessions.ts";
import { releaseOutputsApi, releasesApi } from "./resources/releases.ts";
import { respondToError, respondToUnknownRoute } from "./respond-to-error.ts";

export type Api = ReturnType<typeof createApi>;

const maxBodyBytes = 1024 * 1024;

/**
 * The API of the platform in Heroku's shapes. Serve it with
 * `Bun.serve({ fetch: (request, server) => api.fetch(request, { server }), websocket })`.
 */
export function createApi(platform: Platform, options: { attachLimitMs?: number } = {}) {
  const sessions = openLogSessions();
  const waiting = waitingDynos(platform, options.attachLimitMs);
  return (
    new Hono<ApiEnvironment>()
      .onError(respondToError)
      .notFound(respondToUnknownRoute)
      .use(async (c, next) => {
        c.header("Request-Id", requestId(c.req.header("X-Request-Id")));
        c.header("Cache-Control", "private, no-cache");
        await next();
      })
      // All that stands above the next line is open to everyone, and is only this.
      .route("/log-streams", logStreamsApi(platform, sessions))
      .route("/release-outputs", releaseOutputsApi(platform))
      .use(authenticate(platform))
      .route("/attach", attachApi(waiting))
      .use(requireVersion)
      .use(bodyLimit({ maxSize: maxBodyBytes, onError: refuseLargeBody }))
      .route("/account", accountApi())
      .route("/dyno-sizes", dynoSizesApi(platform))
      .route("/apps", appsApi(platform))
      .route("/apps", buildsApi(platform))
      .route("/apps", configVarsApi(platform))
      .route("/apps", dynosApi(platform, waiting))
      .route("/apps", featuresApi(platform))
      .route("/apps", formationApi(platform))
      .route("/apps", logSessionsApi(platform, sessions))
      .route("/apps", releasesApi(platform))
  );
}

function requestId(given: string | undefined): string {
  return given !== undefined && /^[A-Za-z0-9+/=-]{20,200}$/.test(given)
    ? given
    : crypto.randomUUID();
}

function refuseLargeBody(): never {
  throw new PlatformError("bad_request", "The request body is over 1 MB.");
}
