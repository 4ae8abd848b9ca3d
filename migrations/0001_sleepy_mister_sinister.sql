ALTER TABLE `apps` ADD `features` text DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE `apps` ADD `sleepAfterMs` integer;--> statement-breakpoint
ALTER TABLE `apps` ADD `asleep` integer DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE `dynos` ADD `kind` text DEFAULT 'formation' NOT NULL;--> statement-breakpoint
ALTER TABLE `dynos` ADD `crashes` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `dynos` ADD `retryAt` integer;--> statement-breakpoint
ALTER TABLE `dynos` ADD `expiresAt` integer;--> statement-breakpoint
ALTER TABLE `releases` ADD `withMetadata` integer DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE `releases` ADD `hasOutput` integer DEFAULT false NOT NULL;